"""Lark's LALR parser with the contextual lexer, as a context-free grammar over characters.

The lexer cuts the text before the parser sees it: in each parser state it tries the terminals that the state accepts,
and takes the match that a backtracking matcher prefers, whatever the parser could do with a shorter one. So `a b` and
`ab` are different token sequences, keywords are not names, and `>>` is never two `>`. To read such a grammar without
a lexer, the cuts must become part of the grammar.

*Obligations.* That a token ends here and not later is a demand on the text that follows: the threads that are
preferred to the match must not match. Demands (`grammars.preference.futures`) are the states of a finite automaton,
so they can be threaded through the grammar: a *boundary* between tokens is a lexer, a demand on the text to come, and
what look-behind knows of the text so far.

*Threading.* A symbol A of the grammar, read from one boundary to another, becomes a rule `A[in, out]` (Bar-Hillel,
Perles and Shamir 1961), made on demand from the start. Which lexer is in use depends on the parser state, so symbols
are first split by the states in which they begin (the LR(0) automaton), and merged again where no difference can be
seen.

*Conflicts.* Where the parser could both shift a terminal and reduce a rule it shifts. A boundary therefore also
carries the terminals that must not come next, because a rule was reduced where lark would have shifted.

1. `tables`: lark's own rules and LALR tables;
2. `lexers`: the lexer of each state, merged where they cannot disagree;
3. `boundaries`: the automaton of tokens and obligations;
4. `symbols`: symbols by parser state, merged where they cannot disagree;
5. `threading`: the grammar;
6. `collisions`: terminals that match the same text.
"""
