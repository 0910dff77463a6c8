"""Reading: ranges of bytes and a contract in, landed events, rejects and counts out."""
