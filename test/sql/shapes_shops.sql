-- Shops as their programs keep orders: one schema each, in miniature, attached in one call, and written the way the program writes.
SET client_min_messages = warning;
CREATE SCHEMA shapes;
CREATE FUNCTION shapes.lines(shop text) RETURNS TABLE ("order" text, line text, item text, location text, ordered numeric, cancelled numeric, shipped numeric, has text, live boolean)
LANGUAGE sql AS $$
	SELECT order_key, line_key, item, location, trim_scale(ordered), trim_scale(cancelled), trim_scale(shipped), trim_scale(allocated) || '/' || trim_scale(backordered), live
	FROM backorder.order_line WHERE tenant = shop ORDER BY item, line_id
$$;
CREATE FUNCTION shapes.stock(shop text) RETURNS TABLE (item text, location text, on_hand numeric, allocated numeric, backordered numeric)
LANGUAGE sql AS $$
	SELECT item, location, trim_scale(on_hand), trim_scale(allocated), trim_scale(backordered) FROM backorder.stock WHERE tenant = shop ORDER BY 1, 2
$$;
CREATE FUNCTION shapes.told(shop text) RETURNS TABLE ("order" text, type text)
LANGUAGE sql AS $$SELECT aggregateid, type FROM backorder.event WHERE tenant = shop ORDER BY id$$;

-- Vendure: a cart is an order; the line is there before it has an order or a quantity; placing touches the header only; what
-- is shipped stands two tables away.
CREATE SCHEMA vendure;
SET search_path = vendure;
CREATE TABLE "order" (id serial PRIMARY KEY, code varchar NOT NULL UNIQUE, state varchar NOT NULL, active boolean NOT NULL DEFAULT true, "orderPlacedAt" timestamp(6), "updatedAt" timestamp(6) DEFAULT now());
CREATE TABLE order_line (id serial PRIMARY KEY, "productVariantId" integer NOT NULL, quantity integer NOT NULL, "listPrice" integer, "orderId" integer REFERENCES "order" ON DELETE CASCADE);
CREATE INDEX ON order_line ("orderId");
CREATE TABLE fulfillment (id serial PRIMARY KEY, state varchar NOT NULL, "trackingCode" varchar NOT NULL DEFAULT '');
CREATE TABLE order_line_reference (id serial PRIMARY KEY, discriminator varchar NOT NULL, quantity integer NOT NULL, "orderLineId" integer REFERENCES order_line ON DELETE CASCADE, "fulfillmentId" integer REFERENCES fulfillment);
CREATE INDEX ON order_line_reference ("orderLineId");
CREATE INDEX ON order_line_reference ("fulfillmentId");
SELECT backorder.attach('order_line', item => 'productVariantId', quantity => 'quantity', order_key => 'orderId', header_table => '"order"',
	live => $$state NOT IN ('AddingItems', 'ArrangingPayment', 'Cancelled')$$, queued_at => '"orderPlacedAt"', customer => 'code',
	shipped => $$(SELECT sum(r.quantity) FROM order_line_reference r JOIN fulfillment f ON f.id = r."fulfillmentId"
		WHERE r."orderLineId" = line.id AND r.discriminator = 'FulfillmentLine' AND f.state IN ('Shipped', 'Delivered'))$$,
	watch => ARRAY['order_line_reference: SELECT l."orderId" FROM order_line l WHERE l.id = watched."orderLineId"',
		'fulfillment: SELECT l."orderId" FROM order_line l JOIN order_line_reference r ON r."orderLineId" = l.id WHERE r."fulfillmentId" = watched.id'],
	tenant => 'vendure') > 0 AS attached;
SELECT count(*) FROM backorder.receive('7', 5, tenant => 'vendure');
INSERT INTO "order" (code, state) VALUES ('T3QP', 'AddingItems');
INSERT INTO order_line ("productVariantId", quantity) VALUES (7, 0);
UPDATE order_line SET "orderId" = 1 WHERE id = 1;
UPDATE order_line SET quantity = 8 WHERE id = 1;
INSERT INTO order_line ("productVariantId", quantity, "orderId") VALUES (9, 1, 1);
SELECT count(*) AS recorded FROM shapes.lines('vendure');
UPDATE "order" SET state = 'ArrangingPayment' WHERE id = 1;
UPDATE "order" SET state = 'PaymentSettled', active = false, "orderPlacedAt" = '2026-03-01 10:00' WHERE id = 1;
SELECT * FROM shapes.lines('vendure');
-- A fulfilment is made, its lines are linked to it, and later it ships.
BEGIN;
INSERT INTO fulfillment (state) VALUES ('Created');
INSERT INTO order_line_reference (discriminator, quantity, "orderLineId", "fulfillmentId") VALUES ('FulfillmentLine', 4, 1, 1), ('RefundLine', 1, 1, NULL);
UPDATE fulfillment SET state = 'Pending' WHERE id = 1;
COMMIT;
SELECT * FROM shapes.lines('vendure');
UPDATE fulfillment SET state = 'Shipped' WHERE id = 1;
UPDATE "order" SET state = 'PartiallyShipped' WHERE id = 1;
UPDATE fulfillment SET state = 'Delivered' WHERE id = 1;
SELECT * FROM shapes.lines('vendure');
-- Cancelled: quantities first, then the header.
UPDATE order_line SET quantity = 4 WHERE id = 1;
UPDATE order_line SET quantity = 0 WHERE id = 2;
SELECT * FROM shapes.lines('vendure');
UPDATE "order" SET state = 'Cancelled' WHERE id = 1;
SELECT * FROM shapes.lines('vendure');
SELECT * FROM shapes.stock('vendure');
SELECT * FROM backorder.verify();

-- Medusa 2: every change copies all lines at version + 1; the item is two joins away. Joined by version a line stays what it
-- is; the other way is a copy that is live, and shipped, while its version is the order's.
CREATE SCHEMA medusa;
SET search_path = medusa;
CREATE TABLE "order" (id text PRIMARY KEY, version integer NOT NULL DEFAULT 1, status text NOT NULL DEFAULT 'pending', deleted_at timestamptz);
CREATE TABLE order_line_item (id text PRIMARY KEY, variant_id text, title text NOT NULL, deleted_at timestamptz);
CREATE TABLE order_item (id text PRIMARY KEY, order_id text NOT NULL REFERENCES "order", version integer NOT NULL, item_id text NOT NULL REFERENCES order_line_item,
	quantity numeric NOT NULL, raw_quantity jsonb NOT NULL, shipped_quantity numeric NOT NULL DEFAULT 0, deleted_at timestamptz);
CREATE INDEX ON order_item (order_id);
CREATE TABLE inventory_item (id text PRIMARY KEY, sku text);
CREATE TABLE product_variant_inventory_item (variant_id text, inventory_item_id text REFERENCES inventory_item, required_quantity integer NOT NULL DEFAULT 1, PRIMARY KEY (variant_id, inventory_item_id));
INSERT INTO inventory_item VALUES ('iitem_1', 'SHIRT-S'), ('iitem_2', 'SOCK');
INSERT INTO product_variant_inventory_item VALUES ('variant_s', 'iitem_1', 1), ('variant_pair', 'iitem_2', 2);
-- What a change of an order does.
CREATE FUNCTION change("order" text, item text, add numeric, ship numeric DEFAULT 0) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	last integer;
BEGIN
	UPDATE medusa."order" o SET version = o.version + 1 WHERE o.id = $1 RETURNING o.version - 1 INTO last;
	INSERT INTO medusa.order_item SELECT format('orditem_%s_%s', i.item_id, last + 1), i.order_id, last + 1, i.item_id, i.quantity + CASE WHEN i.item_id = $2 THEN add ELSE 0 END,
		'{}', i.shipped_quantity + CASE WHEN i.item_id = $2 THEN ship ELSE 0 END FROM medusa.order_item i WHERE i.order_id = $1 AND i.version = last;
	RETURN last + 1;
END $$;
SELECT backorder.attach('order_item', item => 'sku', quantity => 'quantity * required_quantity', order_key => 'order_id', line_key => 'item_id', header_table => '"order"',
	live => $$header.status NOT IN ('canceled', 'draft') AND header.deleted_at IS NULL AND line.deleted_at IS NULL$$,
	shipped => 'shipped_quantity * required_quantity',
	joins => 'JOIN order_line_item li ON li.id = line.item_id AND line.version = header.version
		JOIN product_variant_inventory_item vi ON vi.variant_id = li.variant_id JOIN inventory_item ii ON ii.id = vi.inventory_item_id',
	tenant => 'medusa') > 0 AS attached;
SELECT count(*) FROM backorder.receive('SHIRT-S', 3, tenant => 'medusa');
SELECT count(*) FROM backorder.receive('SOCK', 3, tenant => 'medusa');
BEGIN;
INSERT INTO "order" VALUES ('order_1');
INSERT INTO order_line_item VALUES ('ordli_1', 'variant_s', 'Shirt'), ('ordli_2', 'variant_pair', 'A pair of socks');
INSERT INTO order_item (id, order_id, version, item_id, quantity, raw_quantity) VALUES ('orditem_1', 'order_1', 1, 'ordli_1', 2, '{"value": "2"}'), ('orditem_2', 'order_1', 1, 'ordli_2', 3, '{"value": "3"}');
COMMIT;
SELECT * FROM shapes.lines('medusa');
CREATE TABLE first_lines AS SELECT item, line_id, queued_at FROM backorder.order_line WHERE tenant = 'medusa';
SELECT change('order_1', 'ordli_1', 3);
SELECT * FROM shapes.lines('medusa');
SELECT change('order_1', 'ordli_2', 0, 1);
SELECT * FROM shapes.lines('medusa');
SELECT backorder.attach('order_item', item => 'sku', quantity => 'quantity * required_quantity', order_key => 'order_id', header_table => '"order"',
	live => $$line.version = header.version AND header.status NOT IN ('canceled', 'draft') AND header.deleted_at IS NULL AND line.deleted_at IS NULL$$,
	shipped => 'CASE WHEN line.version = header.version THEN shipped_quantity * required_quantity END',
	joins => 'JOIN order_line_item li ON li.id = line.item_id JOIN product_variant_inventory_item vi ON vi.variant_id = li.variant_id JOIN inventory_item ii ON ii.id = vi.inventory_item_id',
	tenant => 'medusa') > 0 AS attached;
SELECT change('order_1', 'ordli_1', -4);
SELECT change('order_1', 'ordli_2', 1, 1);
SELECT * FROM shapes.lines('medusa');
SELECT count(*) AS same FROM first_lines JOIN backorder.order_line USING (item, line_id, queued_at);
UPDATE "order" SET status = 'canceled' WHERE id = 'order_1';
SELECT * FROM shapes.lines('medusa');
SELECT * FROM shapes.stock('medusa');
SELECT * FROM backorder.verify();

-- Spree, Solidus: what is shipped is a row per unit; a line is written many times before it is ordered, mostly its prices.
CREATE SCHEMA spree;
SET search_path = spree;
CREATE TABLE spree_orders (id bigserial PRIMARY KEY, number varchar(32) UNIQUE, state varchar, completed_at timestamp, email varchar);
CREATE TABLE spree_line_items (id bigserial PRIMARY KEY, variant_id bigint, order_id bigint, quantity integer NOT NULL, price numeric(10,2), adjustment_total numeric(10,2) DEFAULT 0);
CREATE INDEX ON spree_line_items (order_id);
CREATE TABLE spree_inventory_units (id bigserial PRIMARY KEY, state varchar NOT NULL, variant_id bigint, line_item_id bigint, quantity integer NOT NULL DEFAULT 1);
CREATE INDEX ON spree_inventory_units (line_item_id);
SELECT backorder.attach('spree_line_items', item => 'variant_id', quantity => 'quantity', order_key => 'order_id', header_table => 'spree_orders', customer => 'email',
	live => $$state IN ('complete', 'resumed') AND completed_at IS NOT NULL$$, queued_at => 'completed_at',
	shipped => $$(SELECT sum(u.quantity) FROM spree_inventory_units u WHERE u.line_item_id = line.id AND u.state = 'shipped')$$,
	watch => ARRAY['spree_inventory_units: SELECT l.order_id FROM spree_line_items l WHERE l.id = watched.line_item_id'], tenant => 'spree') > 0 AS attached;
SELECT count(*) FROM backorder.receive('41', 2, tenant => 'spree');
INSERT INTO spree_orders (number, state, email) VALUES ('R001', 'cart', 'ann'), ('R002', 'cart', 'bob');
INSERT INTO spree_line_items (variant_id, order_id, quantity, price) VALUES (41, 1, 1, 9.90);
UPDATE spree_line_items SET quantity = 3, price = 9.50 WHERE id = 1;
UPDATE spree_line_items SET adjustment_total = -1 WHERE id = 1;
UPDATE spree_orders SET state = 'payment' WHERE id = 1;
SELECT count(*) AS recorded FROM shapes.lines('spree');
-- Completed: units of what is there and of what is not, then the header.
BEGIN;
INSERT INTO spree_inventory_units (state, variant_id, line_item_id) VALUES ('on_hand', 41, 1), ('on_hand', 41, 1), ('backordered', 41, 1);
UPDATE spree_orders SET state = 'complete', completed_at = '2026-03-02 10:00' WHERE id = 1;
COMMIT;
-- Ordered before, and entered later: the day of the order counts.
INSERT INTO spree_line_items (variant_id, order_id, quantity) VALUES (41, 2, 2);
UPDATE spree_orders SET state = 'complete', completed_at = '2026-03-01 10:00' WHERE id = 2;
SELECT * FROM shapes.lines('spree');
SELECT order_key, rank FROM backorder.backlog WHERE tenant = 'spree' ORDER BY rank;
UPDATE spree_inventory_units SET state = 'shipped' WHERE state = 'on_hand';
SELECT * FROM shapes.lines('spree');
-- Cancelled, and the rest of the units given up; resumed.
UPDATE spree_orders SET state = 'canceled' WHERE id = 1;
DELETE FROM spree_inventory_units WHERE state = 'backordered';
SELECT * FROM shapes.lines('spree');
UPDATE spree_orders SET state = 'resumed' WHERE id = 1;
-- A parcel comes back: the unit is returned, and first to its line.
UPDATE spree_inventory_units SET state = 'returned' WHERE id = 1;
SELECT * FROM shapes.lines('spree');
SELECT * FROM shapes.stock('spree');
SELECT * FROM backorder.verify();

-- Saleor: uuid keys, states with spaces; the variant becomes NULL when it is deleted, its code stays on the line.
CREATE SCHEMA saleor;
SET search_path = saleor;
CREATE TABLE product_productvariant (id serial PRIMARY KEY, sku varchar UNIQUE);
CREATE TABLE order_order (id uuid PRIMARY KEY, number integer UNIQUE, status varchar(32) NOT NULL, user_email varchar(254));
CREATE TABLE order_orderline (id uuid PRIMARY KEY, order_id uuid NOT NULL REFERENCES order_order ON DELETE CASCADE, variant_id integer REFERENCES product_productvariant ON DELETE SET NULL,
	product_sku varchar(255), quantity integer NOT NULL CHECK (quantity >= 1), quantity_fulfilled integer NOT NULL DEFAULT 0, is_shipping_required boolean NOT NULL);
CREATE INDEX ON order_orderline (order_id);
INSERT INTO product_productvariant (sku) VALUES ('APPLE-1'), ('EBOOK');
SELECT backorder.attach('order_orderline', item => 'CASE WHEN is_shipping_required THEN product_sku END', quantity => 'quantity', order_key => 'order_id', header_table => 'order_order',
	live => $$status IN ('unfulfilled', 'partially fulfilled')$$, shipped => 'quantity_fulfilled', customer => 'user_email', tenant => 'saleor') > 0 AS attached;
SELECT count(*) FROM backorder.receive('APPLE-1', 4, tenant => 'saleor');
BEGIN;
INSERT INTO order_order VALUES ('00000000-0000-4000-8000-000000000001', 1, 'unconfirmed', 'ann@example.com');
INSERT INTO order_orderline VALUES ('00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000001', 1, 'APPLE-1', 6, 0, true),
	('00000000-0000-4000-8000-00000000000b', '00000000-0000-4000-8000-000000000001', 2, 'EBOOK', 1, 0, false);
COMMIT;
SELECT count(*) AS recorded FROM shapes.lines('saleor');
UPDATE order_order SET status = 'unfulfilled' WHERE number = 1;
DELETE FROM product_productvariant WHERE sku = 'APPLE-1';
SELECT * FROM shapes.lines('saleor');
BEGIN;
UPDATE order_orderline SET quantity_fulfilled = quantity_fulfilled + 4 WHERE product_sku = 'APPLE-1';
UPDATE order_order SET status = 'partially fulfilled' WHERE number = 1;
COMMIT;
SELECT * FROM shapes.lines('saleor');
-- The fulfilment is cancelled and restocked; then the order.
UPDATE order_orderline SET quantity_fulfilled = 0 WHERE product_sku = 'APPLE-1';
SELECT * FROM shapes.lines('saleor');
UPDATE order_order SET status = 'canceled' WHERE number = 1;
SELECT * FROM shapes.stock('saleor');
SELECT type FROM shapes.told('saleor');
SELECT * FROM backorder.verify();

-- OroCommerce: lines hang on orders by a table of links, which is what is attached; quantities are floating point and in units;
-- drafts of an order are copies of it.
CREATE SCHEMA oro;
SET search_path = oro;
CREATE TABLE oro_product (id serial PRIMARY KEY, sku varchar(255));
CREATE TABLE oro_product_unit_precision (product_id integer, unit_code varchar, conversion_rate double precision, PRIMARY KEY (product_id, unit_code));
CREATE TABLE oro_order (id serial PRIMARY KEY, identifier varchar, internal_status_id varchar, draft_session_uuid uuid);
CREATE TABLE oro_order_line_item (id serial PRIMARY KEY, product_id integer REFERENCES oro_product ON DELETE SET NULL, product_sku varchar, quantity double precision, product_unit_id varchar, draft_session_uuid uuid);
CREATE TABLE oro_order_orders_line_items (order_id integer REFERENCES oro_order ON DELETE CASCADE, line_item_id integer REFERENCES oro_order_line_item ON DELETE CASCADE, PRIMARY KEY (order_id, line_item_id));
CREATE INDEX ON oro_order_orders_line_items (line_item_id);
INSERT INTO oro_product (sku) VALUES ('2JD29');
INSERT INTO oro_product_unit_precision VALUES (1, 'kg', 1), (1, 'bag', 0.1);
SELECT backorder.attach('oro_order_orders_line_items', item => 'p.sku', quantity => 'li.quantity::numeric * coalesce(u.conversion_rate, 1)::numeric', order_key => 'order_id', line_key => 'line_item_id',
	header_table => 'oro_order', live => $$internal_status_id IN ('open', 'pending') AND header.draft_session_uuid IS NULL AND li.draft_session_uuid IS NULL$$,
	joins => 'JOIN oro_order_line_item li ON li.id = line.line_item_id LEFT JOIN oro_product p ON p.id = li.product_id
		LEFT JOIN oro_product_unit_precision u ON u.product_id = li.product_id AND u.unit_code = li.product_unit_id',
	watch => ARRAY['oro_order_line_item: SELECT x.order_id FROM oro_order_orders_line_items x WHERE x.line_item_id = watched.id'], tenant => 'oro') > 0 AS attached;
SELECT count(*) FROM backorder.receive('2JD29', 1, tenant => 'oro');
BEGIN;
INSERT INTO oro_order_line_item (product_id, product_sku, quantity, product_unit_id) VALUES (1, '2JD29', 0.1, 'kg'), (1, '2JD29', 3, 'bag'), (NULL, 'free text', 1, 'item');
INSERT INTO oro_order (identifier, internal_status_id) VALUES ('1', 'open');
INSERT INTO oro_order_orders_line_items SELECT 1, id FROM oro_order_line_item;
COMMIT;
SELECT * FROM shapes.lines('oro');
-- Edited: a draft with copies of all lines, taken over at the end.
INSERT INTO oro_order (identifier, internal_status_id, draft_session_uuid) VALUES ('1', 'open', '00000000-0000-4000-8000-000000000002');
INSERT INTO oro_order_line_item (product_id, product_sku, quantity, product_unit_id, draft_session_uuid) SELECT product_id, product_sku, quantity, product_unit_id, '00000000-0000-4000-8000-000000000002' FROM oro_order_line_item;
INSERT INTO oro_order_orders_line_items SELECT 2, id FROM oro_order_line_item WHERE draft_session_uuid IS NOT NULL;
UPDATE oro_order_line_item SET quantity = 1.2 WHERE id = 4;
SELECT * FROM shapes.lines('oro');
BEGIN;
UPDATE oro_order_line_item SET quantity = 1.2 WHERE id = 1;
DELETE FROM oro_order WHERE draft_session_uuid IS NOT NULL;
DELETE FROM oro_order_line_item WHERE draft_session_uuid IS NOT NULL;
COMMIT;
SELECT * FROM shapes.lines('oro');
DELETE FROM oro_order_line_item WHERE id = 1;
DELETE FROM oro_product;
SELECT * FROM shapes.lines('oro');
SELECT * FROM shapes.stock('oro');
SELECT * FROM backorder.verify();

-- django-oscar: the status is the line's, free text; so is the supplier, each with stock of its own.
CREATE SCHEMA oscar;
SET search_path = oscar;
CREATE TABLE order_order (id serial PRIMARY KEY, number varchar(128) UNIQUE, status varchar(100), guest_email varchar);
CREATE TABLE order_line (id serial PRIMARY KEY, order_id integer NOT NULL REFERENCES order_order DEFERRABLE INITIALLY DEFERRED, partner_id integer, stockrecord_id integer, partner_sku varchar,
	quantity integer NOT NULL, num_allocated integer, status varchar(255) NOT NULL DEFAULT '');
CREATE INDEX ON order_line (order_id);
CREATE TABLE order_shippingeventquantity (id serial PRIMARY KEY, line_id integer NOT NULL REFERENCES order_line, event_id integer NOT NULL, quantity integer NOT NULL);
CREATE INDEX ON order_shippingeventquantity (line_id);
SELECT backorder.attach('order_line', item => 'partner_sku', quantity => 'quantity', order_key => 'order_id', header_table => 'order_order', location => 'partner_id', customer => 'guest_email',
	live => $$line.status NOT IN ('Cancelled', 'Refunded')$$, shipped => '(SELECT sum(q.quantity) FROM order_shippingeventquantity q WHERE q.line_id = line.id)',
	watch => ARRAY['order_shippingeventquantity: SELECT l.order_id FROM order_line l WHERE l.id = watched.line_id'], tenant => 'oscar') > 0 AS attached;
SELECT count(*) FROM backorder.receive('1-MULTI', 3, '1', tenant => 'oscar');
-- Lines before the order: the foreign key waits for the commit.
BEGIN;
INSERT INTO order_line (order_id, partner_id, stockrecord_id, partner_sku, quantity) VALUES (1, 1, 5, '1-MULTI', 4), (1, 2, 6, '1-MULTI', 1);
INSERT INTO order_order (number, status, guest_email) VALUES ('100001', 'Pending', 'ann');
UPDATE order_line SET num_allocated = quantity;
UPDATE order_line SET status = 'Being processed';
COMMIT;
SELECT * FROM shapes.lines('oscar');
INSERT INTO order_shippingeventquantity (line_id, event_id, quantity) VALUES (1, 1, 2);
UPDATE order_line SET status = 'Cancelled' WHERE id = 2;
SELECT * FROM shapes.lines('oscar');
UPDATE order_line SET status = 'Cancelled' WHERE id = 1;
SELECT * FROM shapes.lines('oscar');
SELECT * FROM shapes.stock('oscar');
SELECT * FROM backorder.verify();

SELECT count(backorder.detach(backorder.source_relation(source_id))) AS detached FROM backorder.source
WHERE line_schema IN ('vendure', 'medusa', 'spree', 'saleor', 'oro', 'oscar') AND detached_at IS NULL;
SELECT * FROM backorder.verify();
DROP SCHEMA shapes, vendure, medusa, spree, saleor, oro, oscar CASCADE;
