-- Peer "application, django-oscar": orders as oscar places them, over the wire.  Its rules, from oscar/apps/order/utils.py,
-- partner/abstract_models.py and partner/receivers.py: the basket's availability (num_in_stock - num_allocated) is read, without a
-- lock; then for each line an INSERT and StockRecord.allocate(), an UPDATE num_allocated = num_allocated + n, after which its signal
-- looks for an open StockAlert.  There is no queue, nothing says which line is short, and two customers may both be sold the last
-- unit: it does less than the others.  Statements go as text, as Django sends them unless it is told otherwise.  Left out, in its
-- favour: line prices and attributes, vouchers.
\ir shop.sql
CREATE TABLE stock_records (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sku text NOT NULL UNIQUE, num_in_stock integer, num_allocated integer) WITH (fillfactor = 50);
CREATE TABLE stock_alerts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sku text NOT NULL, threshold integer NOT NULL, status text NOT NULL DEFAULT 'Open');
CREATE INDEX ON stock_alerts (sku);
INSERT INTO stock_records (sku, num_in_stock) SELECT 'item ' || i, CASE WHEN i <= :items THEN 100000000 ELSE 0 END FROM generate_series(1, :items + 1) i;
\ir preload.sql
