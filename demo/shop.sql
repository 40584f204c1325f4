-- A distributor's own database, as it is before backorder comes: made from the CSV files beside this
-- one. The dates in the files are moved so that the last order was placed yesterday.

CREATE ROLE shop_owner;
CREATE ROLE shop_app LOGIN;
CREATE SCHEMA shop AUTHORIZATION shop_owner;
SET ROLE shop_owner;

CREATE TABLE shop.suppliers (
	supplier text PRIMARY KEY,
	name text NOT NULL,
	lead_time integer NOT NULL,
	minimum_order_value numeric NOT NULL,
	currency text NOT NULL
);
CREATE TABLE shop.items (
	sku text PRIMARY KEY,
	name text NOT NULL,
	supplier text NOT NULL REFERENCES shop.suppliers,
	unit_cost numeric(10,2) NOT NULL,
	price numeric(10,2) NOT NULL,
	order_multiple integer NOT NULL,
	minimum_quantity integer NOT NULL,
	on_hand integer NOT NULL
);
CREATE TABLE shop.customers (
	customer text PRIMARY KEY,
	name text NOT NULL,
	city text NOT NULL,
	priority integer NOT NULL
);
CREATE TABLE shop.orders (
	order_no text PRIMARY KEY,
	customer text NOT NULL REFERENCES shop.customers,
	priority integer NOT NULL DEFAULT 0,
	ordered_at timestamp NOT NULL DEFAULT now(),
	status text NOT NULL DEFAULT 'open'
);
CREATE TABLE shop.order_lines (
	order_no text REFERENCES shop.orders,
	line_no integer,
	sku text NOT NULL REFERENCES shop.items,
	qty integer NOT NULL,
	price numeric(10,2),
	shipped integer NOT NULL DEFAULT 0,
	PRIMARY KEY (order_no, line_no)
);
CREATE TABLE shop.purchases (
	po integer,
	supplier text NOT NULL REFERENCES shop.suppliers,
	placed_at date NOT NULL,
	expected_at date NOT NULL,
	sku text REFERENCES shop.items,
	qty integer NOT NULL,
	PRIMARY KEY (po, sku)
);

\copy shop.suppliers FROM demo/suppliers.csv CSV HEADER
\copy shop.items FROM demo/items.csv CSV HEADER
\copy shop.customers FROM demo/customers.csv CSV HEADER
\copy shop.orders FROM demo/orders.csv CSV HEADER
\copy shop.order_lines FROM demo/order_lines.csv CSV HEADER
\copy shop.purchases FROM demo/purchases.csv CSV HEADER

SELECT current_date - 1 - max(ordered_at)::date AS days FROM shop.orders \gset
UPDATE shop.orders SET ordered_at = ordered_at + :days * interval '1 day';
UPDATE shop.purchases SET placed_at = placed_at + :days, expected_at = expected_at + :days;

GRANT USAGE ON SCHEMA shop TO shop_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop TO shop_app;
