-- The shop of the other shapes: lines without a header, or with one to which no foreign key leads. Else it is shop.sql.
--
-- psql variables: shape (lines or nofk), items and preload as in shop.sql
SELECT :'shape' = 'nofk' AS header \gset
\if :header
CREATE TABLE orders (order_no bigint PRIMARY KEY, customer text, status text NOT NULL DEFAULT 'open');
\endif
CREATE TABLE lines (order_no bigint, line_no integer, sku text NOT NULL, qty integer NOT NULL, shipped integer NOT NULL DEFAULT 0,
	PRIMARY KEY (order_no, line_no));
CREATE SEQUENCE next_order START 200000001;
-- What a bulk load reads.
CREATE UNLOGGED TABLE incoming (LIKE lines INCLUDING DEFAULTS);
