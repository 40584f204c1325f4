-- Floor of planning: the rows that were planned, inserted as they are.
INSERT INTO floor.purchase_order SELECT * FROM planned_order;
INSERT INTO floor.purchase_order_line SELECT * FROM planned_line;
