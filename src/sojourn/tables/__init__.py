"""Tables: what events mean. Functions from expressions to expressions; nothing is executed here."""
