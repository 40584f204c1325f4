--# 6. Sabotage

--: Whatever fires the triggers is recorded. Who owns the tables can switch them off; so we do, and
--: edit a quantity.
ALTER TABLE shop.order_lines DISABLE TRIGGER USER;
UPDATE shop.order_lines SET qty = qty + 3 WHERE order_no = 'SO-10151' AND line_no = 1;

--: verify() recomputes every counter, promise and recorded line from the rows that explain it:
SELECT * FROM backorder.verify() \gx

--?
SELECT bool_or(check_name = 'order_line' AND object LIKE 'line 1 of order SO-10151 %') AND bool_or(check_name = 'source.trigger')
		AND count(*) = 2, 'verify() names the table and the line, and nothing else'
FROM backorder.verify();

--: Triggers back on, and resync() looks at that order again:
ALTER TABLE shop.order_lines ENABLE TRIGGER USER;
SELECT backorder.resync('shop.order_lines', 'SO-10151') AS lines_changed;

--?
SELECT count(*) = 0, format('verify() returns %s rows', count(*)) FROM backorder.verify();
