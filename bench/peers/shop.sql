-- The shop that every peer is put under: its orders, their lines, nothing else.
--
-- Order numbers have nine digits, and orders come in their order.
--
-- psql variables: items (so many are in stock), preload (orders of four lines, entered with the peer in place, so that plans use indexes)
CREATE TABLE orders (order_no bigint PRIMARY KEY, customer text, status text NOT NULL DEFAULT 'open');
CREATE TABLE lines (order_no bigint REFERENCES orders, line_no integer, sku text NOT NULL, qty integer NOT NULL, shipped integer NOT NULL DEFAULT 0,
	PRIMARY KEY (order_no, line_no));
CREATE SEQUENCE next_order START 200000001;
