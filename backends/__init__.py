"""Places that run pubs, one file per provider; `registry` knows them all."""
