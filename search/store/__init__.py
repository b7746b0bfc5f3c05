"""The store: tables, transactions, and what is read from them."""
