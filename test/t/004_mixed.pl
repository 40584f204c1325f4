# Everything at once: orders of several lines in random item order, written, edited, cancelled,
# deleted, shipped; receipts, counts, planning, placing, dates moved, purchase orders closed. Each
# transaction settles once, so none may end in a deadlock. (Two UPDATEs of many purchase order lines
# are locked in row order first, as always where two statements may meet the same rows.) In
# REPEATABLE READ and SERIALIZABLE the same, with 40001 and another try.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use BackorderTest;

# Few promises at once, so that settling leaves some for repromise().
my $node = new_node('mixed', conf => [ 'backorder.repromise_limit = 10' ]);
create_shop($node);

# attempt() swallows the refusals that a race rightly ends in (a purchase order is closed already, less
# is counted than is on hold), nothing else.
$node->safe_psql('postgres', <<'EOS');
INSERT INTO backorder.supplier (supplier, lead_time) VALUES ('north', 30000), ('south', 20000), ('west', NULL);
INSERT INTO backorder.supplier_item (supplier, item, rank, minimum_quantity, order_multiple, maximum_quantity)
SELECT (ARRAY['north', 'south', 'west'])[1 + n % 3], 'I' || n, 1, n % 7, 1 + n % 5, CASE WHEN n % 4 = 0 THEN 40 END FROM generate_series(0, 19) n
UNION ALL SELECT (ARRAY['north', 'south', 'west'])[1 + (n + 1) % 3], 'I' || n, 2, 0, 1, NULL FROM generate_series(0, 19) n;
INSERT INTO backorder.item_policy (item, reorder_point, order_up_to, handling_time)
SELECT 'I' || n, 5, 10, n % 2 FROM generate_series(0, 9) n;
CREATE FUNCTION shop.attempt(statement text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
EXCEPTION WHEN SQLSTATE 'OB005' OR SQLSTATE 'OB006' OR SQLSTATE 'OB009' THEN NULL;	-- OB009: a draft that a plan took away meanwhile
END $$;
EOS

my %scripts = (
	order => [ 20, <<'EOS' ],
\set lines random(1, 6)
\set customer random(1, 30)
WITH o AS (INSERT INTO shop.orders (customer) VALUES ('c' || :customer) RETURNING id)
INSERT INTO shop.lines (order_id, line_no, item, quantity)
SELECT o.id, n, 'I' || floor(random() * 20)::int, 1 + floor(random() * 8)::int FROM o, generate_series(1, :lines) n;
EOS
	order_in_steps => [ 5, <<'EOS' ],
\set first random(0, 19)
\set second random(0, 19)
\set third random(0, 19)
BEGIN;
INSERT INTO shop.orders (customer, urgency) VALUES ('stepwise', 1) RETURNING id \gset
INSERT INTO shop.lines VALUES (:id, 1, 'I' || :first, 3);
SAVEPOINT a;
INSERT INTO shop.lines VALUES (:id, 2, 'I' || :second, 5);
ROLLBACK TO a;
INSERT INTO shop.lines VALUES (:id, 3, 'I' || :third, 2);
RELEASE a;
UPDATE shop.lines SET quantity = quantity + 1 WHERE order_id = :id;
COMMIT;
EOS
	edit => [ 6, <<'EOS' ],
\set id random(1, 800)
\set quantity random(0, 12)
UPDATE shop.lines SET quantity = :quantity WHERE order_id = :id AND line_no = 1;
EOS
	item => [ 2, <<'EOS' ],
\set id random(1, 800)
\set item random(0, 19)
UPDATE shop.lines SET item = 'I' || :item WHERE order_id = :id AND line_no = 1;
EOS
	urgency => [ 2, <<'EOS' ],
\set id random(1, 800)
\set urgency random(0, 3)
UPDATE shop.orders SET urgency = :urgency WHERE id = :id;
EOS
	cancel => [ 2, <<'EOS' ],
\set id random(1, 800)
UPDATE shop.orders SET status = CASE status WHEN 'open' THEN 'cancelled' ELSE 'open' END WHERE id = :id;
EOS
	drop => [ 1, <<'EOS' ],
\set id random(1, 800)
DELETE FROM shop.orders WHERE id = :id;
EOS
	replace => [ 2, <<'EOS' ],
\set id random(1, 800)
BEGIN;
SELECT count(*) FROM (SELECT FROM shop.orders WHERE id = :id FOR UPDATE) o;
CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM shop.lines WHERE order_id = :id;
DELETE FROM shop.lines WHERE order_id = :id;
INSERT INTO shop.lines SELECT order_id, line_no + 10, item, quantity, shipped FROM kept;
COMMIT;
EOS
	ship => [ 6, <<'EOS' ],
\set id random(1, 800)
UPDATE shop.lines SET shipped = quantity WHERE order_id = :id AND shipped < quantity;
EOS
	receive => [ 4, <<'EOS' ],
\set rows random(1, 6)
INSERT INTO backorder.stock_movement (item, kind, quantity)
SELECT 'I' || floor(random() * 20)::int, 'receipt', 1 + floor(random() * 9)::int FROM generate_series(1, :rows);
EOS
	receive_purchases => [ 6, <<'EOS' ],
\set rows random(1, 4)
SELECT shop.attempt(format($$INSERT INTO backorder.stock_movement (item, location, kind, quantity, po_id, po_line_no)
SELECT item, location, 'receipt', ceil(open / 2), po_id, line_no FROM backorder.supply WHERE open > 0 ORDER BY random() LIMIT %s$$, :rows));
EOS
	count => [ 1, <<'EOS' ],
\set item random(0, 19)
\set counted random(0, 20)
SELECT shop.attempt(format($$SELECT count(*) FROM backorder.count_stock('I%s', %s)$$, :item, :counted));
EOS
	count_in_order => [ 2, <<'EOS' ],
\set id random(1, 800)
\set item random(0, 19)
\set counted random(0, 20)
BEGIN;
UPDATE shop.lines SET quantity = quantity + 1 WHERE order_id = :id;
SELECT shop.attempt(format($$SELECT count(*) FROM backorder.count_stock('I%s', %s)$$, :item, :counted));
COMMIT;
EOS
	hold => [ 1, <<'EOS' ],
\set item random(0, 19)
SELECT shop.attempt(format($$SELECT count(*) FROM backorder.hold_stock('I%s', 3, 'look')$$, :item));
EOS
	release => [ 1, <<'EOS' ],
\set item random(0, 19)
SELECT shop.attempt(format($$SELECT count(*) FROM backorder.release_stock('I%s', 2)$$, :item));
EOS
	resync => [ 1, <<'EOS' ],
\set id random(1, 800)
SELECT shop.attempt(format($$SELECT backorder.resync('shop.lines', '%s')$$, :id));
EOS
	resync_all => [ 1, <<'EOS' ],
\if :client_id = 1
SELECT backorder.resync('shop.lines');
\endif
EOS
	policy => [ 1, <<'EOS' ],
\set item random(0, 9)
\set days random(0, 5)
\if :client_id = 0
UPDATE backorder.item_policy SET handling_time = :days;
\else
UPDATE backorder.item_policy SET handling_time = :days, reorder_point = :days WHERE item = 'I' || :item;
\endif
EOS
	repromise => [ 2, <<'EOS' ],
SELECT backorder.repromise();
EOS
	plan => [ 2, <<'EOS' ],
SELECT count(*) FROM backorder.plan_purchases();
EOS
	place => [ 2, <<'EOS' ],
SELECT shop.attempt($$SELECT backorder.place_purchase_order(po_id)
FROM (SELECT po_id FROM backorder.purchase_order WHERE status = 'draft' ORDER BY random() LIMIT 1) p$$);
EOS
	change_draft => [ 1, <<'EOS' ],
SELECT shop.attempt($$UPDATE backorder.purchase_order_line SET ordered = ordered + 1 WHERE line_no = 1
	AND po_id = (SELECT po_id FROM backorder.purchase_order WHERE status = 'draft' ORDER BY random() LIMIT 1)$$);
EOS
	move_dates => [ 3, <<'EOS' ],
\set day random(0, 300)
SELECT shop.attempt(format($$WITH locked AS (SELECT po_id, line_no FROM backorder.purchase_order_line
	WHERE po_id = (SELECT po_id FROM backorder.purchase_order WHERE status = 'placed' ORDER BY random() LIMIT 1)
	ORDER BY line_no FOR UPDATE)
UPDATE backorder.purchase_order_line l SET expected_at = date '2099-01-01' + %s + l.line_no
FROM locked k WHERE k.po_id = l.po_id AND k.line_no = l.line_no$$, :day));
EOS
	close => [ 1, <<'EOS' ],
SELECT shop.attempt($$SELECT backorder.close_purchase_order(po_id)
FROM (SELECT po_id FROM backorder.purchase_order WHERE status = 'placed' ORDER BY random() LIMIT 1) p$$);
EOS
);

foreach my $level ('read committed', 'repeatable read', 'serializable')
{
	if ($level eq 'read committed')
	{
		load_ok($node, $level, [ '-c', 8, '-j', 2, '-T', 15 ], \%scripts);
	}
	else
	{
		load_ok($node, $level, [ '-c', 4, '-j', 2, '-T', 5 ], \%scripts, $level);
	}
	sums_ok($node, $level);
	consistent_ok($node, $level);
}

# Buy and receive all that is short: nobody waits any more.
is($node->safe_psql('postgres', q{
	SET backorder.repromise_limit = 100000;
	SELECT backorder.repromise() IS NOT NULL;
	SELECT count(*) FROM backorder.plan_purchases() \gset first_
	SELECT :first_count = count(*) FROM backorder.plan_purchases()}), "t\nt", 'planned twice: the same lines');
consistent_ok($node, 'planned');
$node->safe_psql('postgres', q{
	UPDATE backorder.purchase_order SET status = 'placed' WHERE status = 'draft'});
consistent_ok($node, 'placed');
$node->safe_psql('postgres', q{
	SELECT backorder.receive_purchase_order(po_id) FROM backorder.purchase_order WHERE status = 'placed' ORDER BY po_id});
is($node->safe_psql('postgres', 'SELECT count(*) FROM backorder.backlog'), '0', 'bought and received: nobody waits');
is($node->safe_psql('postgres', 'SELECT sum(on_order) FROM backorder.stock'), '0', 'bought and received: nothing is on order');
sums_ok($node, 'received');
consistent_ok($node, 'received');

done_testing();
