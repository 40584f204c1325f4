-- The extension, attached as README.md does it.
\ir shop.sql
CREATE EXTENSION backorder;
SELECT backorder.attach('lines', item => 'sku', quantity => 'qty', order_key => 'order_no', line_key => 'line_no', header_table => 'orders',
	customer => 'customer', live => $$status = 'open'$$, shipped => 'shipped') \g /dev/null
INSERT INTO backorder.stock_movement (item, kind, quantity) SELECT 'item ' || i, 'opening', 100000000 FROM generate_series(1, :items) i;

-- n orders of three lines, a transaction each: two lines in stock, one not.
CREATE PROCEDURE enter(n integer, items integer) LANGUAGE plpgsql AS $$
DECLARE o bigint;
BEGIN
	FOR i IN 1 .. n LOOP
		o := nextval('next_order');
		INSERT INTO orders VALUES (o, 'customer ' || o % 1000);
		INSERT INTO lines VALUES (o, 1, 'item ' || 1 + o * 7919 % items, 1), (o, 2, 'item ' || 1 + o * 104729 % items, 2), (o, 3, 'short ' || o % 1000, 1);
		COMMIT;
	END LOOP;
END $$;

-- n orders of one line each that wait for an item.
CREATE PROCEDURE queue(n integer, item text) LANGUAGE sql AS $$
	WITH o AS (INSERT INTO orders SELECT nextval('next_order'), 'customer ' || i % 1000 FROM generate_series(1, n) i RETURNING order_no)
	INSERT INTO lines SELECT o.order_no, 1, item, 1 FROM o;
$$;

-- n receipts of ten, a transaction each.
CREATE PROCEDURE receive(n integer, item text) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. n LOOP
		INSERT INTO backorder.stock_movement (item, kind, quantity) VALUES (item, 'receipt', 10);
		COMMIT;
	END LOOP;
END $$;
\ir preload.sql
