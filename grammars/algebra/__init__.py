"""The boolean algebra of regular languages: residuals of extended regular expressions.

The *residual* of a language L by a byte b is b⁻¹L = {w : bw ∈ L}: what may follow after b. Brzozowski (1964) saw that
residuals can be computed on the expression itself, and that intersection and complement then cost nothing extra:
b⁻¹(L ∩ M) = b⁻¹L ∩ b⁻¹M, b⁻¹(¬L) = ¬(b⁻¹L). Up to the simple laws of union and intersection an expression has
finitely many residuals, so they are the states of a deterministic automaton that is built as far as it is walked and
no further.

| module | idea |
|---|---|
| `byte_classes` | bytes that no part of an expression tells apart |
| `terms` | the expressions: hash-consed, every structural fact computed once |
| `sequences` | concatenation and counted repetition |
| `booleans` | union, intersection, complement, and the laws that keep them small |
| `translation` | from the nodes of `grammars.expression` to terms |
| `partitions` | bytes that a residual does not tell apart |
| `derivatives` | the residual of a term by a byte |
| `scopes` | assertions: what stands ahead and what stands behind |
| `emptiness` | whether anything is left of a language |
"""
