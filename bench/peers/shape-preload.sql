-- Orders that are there already.
BEGIN;
\if :header
INSERT INTO orders SELECT 100000000 + i, 'customer ' || i % 1000 FROM generate_series(1, :preload) i;
\endif
INSERT INTO lines SELECT 100000000 + i, l, 'item ' || 1 + (i * 7 + l * 131) % :items, 1 FROM generate_series(1, :preload) i, generate_series(1, 4) l;
COMMIT;
VACUUM ANALYZE;
