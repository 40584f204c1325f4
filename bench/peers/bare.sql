-- Peer "bare": the same INSERTs, nothing else.
\ir shop.sql
\ir preload.sql
