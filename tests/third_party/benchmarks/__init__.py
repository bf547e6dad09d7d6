"""What asv follows in this repository; the two modules keep the names that claimbench gave them."""
