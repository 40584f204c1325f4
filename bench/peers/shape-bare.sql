-- Peer "bare" of a shape: the same INSERTs, nothing else.
\ir shape.sql
\ir shape-preload.sql
