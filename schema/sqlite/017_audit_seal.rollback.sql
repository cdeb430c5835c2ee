-- Takes 017_audit_seal.sql back: the acts stay, and are sealed anew when it comes again.

DROP TABLE audit_chain;
DROP TABLE audit_seal;
