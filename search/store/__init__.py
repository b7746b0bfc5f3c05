"""The store: database, tables, studies and every read of their trials."""
