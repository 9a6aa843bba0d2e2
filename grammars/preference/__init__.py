r"""Which match does a backtracking matcher prefer?

Python's `re` reports one match of many: the first in the order in which it tries. For `/".*?"/` on `"a"b"` that is
`"a"`; for `/a|ab/` on `ab` it is `a`. A terminal of a Lark grammar means that match: its language depends on the order.

Following all threads of the matcher at once, in order of preference, turns the order into a deterministic automaton:
a state is a list of threads, and a thread that has matched cuts off those behind it (Thompson 1968; Pike; Cox 2010,
"Regular Expression Matching: the Virtual Machine Approach"). What a look-ahead demands of the text to come is kept
beside the thread as a boolean combination of "this thread will match" (an alternating automaton); what look-behind
demands is known from automata that have read the text so far.

1. `charsets`: sets of code points, and the classes of code points that no set tells apart;
2. `program`: a pattern, parsed by the standard library, as instructions;
3. `futures`: demands on the text to come;
4. `threads`: the machine;
5. `preferred`: the language of a terminal, as an expression.
"""
