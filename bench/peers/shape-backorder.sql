-- The extension, attached to a shape.
\ir shape.sql
CREATE EXTENSION backorder;
\if :header
SELECT backorder.attach('lines', item => 'sku', quantity => 'qty', order_key => 'order_no', line_key => 'line_no', header_table => 'orders',
	customer => 'customer', live => $$status = 'open'$$, shipped => 'shipped') \g /dev/null
\else
SELECT backorder.attach('lines', item => 'sku', quantity => 'qty', order_key => 'order_no', line_key => 'line_no', shipped => 'shipped') \g /dev/null
\endif
INSERT INTO backorder.stock_movement (item, kind, quantity) SELECT 'item ' || i, 'opening', 100000000 FROM generate_series(1, :items) i;
\ir shape-preload.sql
