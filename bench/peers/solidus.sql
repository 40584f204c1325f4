-- Peer "application, Solidus": orders as Solidus (and Spree) finalises them, over the wire.  Its rules, from core/app/models/spree:
-- StockItem#adjust_count_on_hand takes the stock item's row with_lock (SELECT … FOR UPDATE, one item after the other, as the lines
-- come) and writes the count it computed; it goes below zero where items are backorderable.  Each change is a StockMovement.
-- StockItem#fill_status decides on hand or backordered, and each unit is an InventoryUnit row with that state.  Left out, in its
-- favour: validations, shipments, the units' second UPDATE (pending), all that concerns prices.
\ir shop.sql
CREATE TABLE stock_items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, variant text NOT NULL UNIQUE, count_on_hand integer NOT NULL DEFAULT 0) WITH (fillfactor = 50);
CREATE TABLE stock_movements (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stock_item_id bigint NOT NULL, quantity integer NOT NULL,
	originator bigint, created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON stock_movements (stock_item_id);
CREATE TABLE inventory_units (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_no bigint NOT NULL, line_no integer NOT NULL, variant text NOT NULL,
	state text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON inventory_units (order_no);
CREATE INDEX ON inventory_units (variant);
INSERT INTO stock_items (variant, count_on_hand) SELECT 'item ' || i, CASE WHEN i <= :items THEN 100000000 ELSE 0 END FROM generate_series(1, :items + 1) i;
\ir preload.sql
