"""What is done with a model, and how fast it must be. Each module has one or more works."""

from works import cached, cold, first_byte, forward_pass, imports, listing, memory, partial_load, rank, replicas, small_reads

ALL = [*cached.ALL, *cold.ALL, *rank.ALL, *small_reads.ALL, *first_byte.ALL, *forward_pass.ALL, *partial_load.ALL, *memory.ALL, *listing.ALL,
       *imports.ALL, *replicas.ALL]
