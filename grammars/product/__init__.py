"""The intersection of a context-free grammar with a regular language (Bar-Hillel, Perles and Shamir, 1961).

Let the regular language be read by a deterministic automaton. For an expression X and states p, q let X[p,q] be the
strings of X that lead the automaton from p to q. Then (XY)[p,q] = ⋃ X[p,s] Y[s,q], a rule R becomes rules R[p,q], and
the intersection is the union of start[p₀,q] over accepting q. Of all the triples only those are made that some string
really needs:

* `goals` finds, on demand and as a least fixpoint, which q can be reached from X at p;
* `lexical` answers that for literals and character sets directly;
* `emission` writes the rules that the start needs, from the top down.
"""
