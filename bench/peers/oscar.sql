-- Peer "application, django-oscar": orders as oscar places them, over the wire.  Its rules, from oscar/apps/order/utils.py and
-- partner/abstract_models.py: the basket's availability (num_in_stock - num_allocated) is read, without a lock; then for each line an
-- INSERT and StockRecord.allocate(), an UPDATE num_allocated = num_allocated + n.  There is no queue, nothing says which line is short,
-- and two customers may both be sold the last unit: it does less than the others.  Left out, in its favour: line prices and attributes.
\ir shop.sql
CREATE TABLE stock_records (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sku text NOT NULL UNIQUE, num_in_stock integer, num_allocated integer) WITH (fillfactor = 50);
INSERT INTO stock_records (sku, num_in_stock) SELECT 'item ' || i, CASE WHEN i <= :items THEN 100000000 ELSE 0 END FROM generate_series(1, :items + 1) i;
\ir preload.sql
