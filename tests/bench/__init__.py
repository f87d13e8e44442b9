"""How fast, how small, how little memory: the numbers behind the promises, in one run.

``python -m tests.bench --size small|medium|full`` serves a sandbox in another process, measures
each act of the product in a process of its own, measures restic, borg and git on the same objects
exported as JSON, prints one table beside the bars, and writes ``build/bench.json``. Nothing here is
a test: a bar that is not met is printed, not failed.

Processor seconds count for what is computed, wall time for what a person waits for. Everything
lives in a temporary folder and every process is ended with the run.

Read in this order: ``sizes``, ``tenant``, ``acts``, ``child``, ``export``, ``others``, ``bars``,
``__main__``.
"""
