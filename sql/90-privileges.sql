-- Rights, and what a dump carries.

REVOKE ALL ON ALL ROUTINES IN SCHEMA backorder, backorder_internal FROM PUBLIC;
-- PUBLIC has no right on schema backorder.  On the other it may name the two functions below.
GRANT USAGE ON SCHEMA backorder_internal TO PUBLIC;
-- Creating a partition and restoring a dump check this right. The function refuses any table that is not attached.
GRANT EXECUTE ON FUNCTION backorder_internal.capture() TO PUBLIC;
-- Mapping queries call it as the owner of the attached table. It returns true and remembers two words for an error message.
GRANT EXECUTE ON FUNCTION backorder_internal.evaluating(text, text) TO PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('backorder.source', '');
SELECT pg_catalog.pg_extension_config_dump('backorder_internal.source_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.source_watch', '');
SELECT pg_catalog.pg_extension_config_dump('backorder_internal.source_import', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.stock_source', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.parked', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.sales_order', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.stock', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.stock_movement', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.stock_movement_movement_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.supply', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.order_line', '');
SELECT pg_catalog.pg_extension_config_dump('backorder_internal.line_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.allocation', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.allocation_allocation_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.waiting_order', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.supplier', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.supplier_item', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.item_policy', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.purchase_order', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.purchase_order_po_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.purchase_order_line', '');
SELECT pg_catalog.pg_extension_config_dump('backorder_internal.surplus_notice', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.event', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.event_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('backorder.event_consumer', '');
