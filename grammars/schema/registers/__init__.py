"""Registers: what no grammar can say, because it needs a memory of values.

`uniqueItems` compares finished values with each other, and keys that must differ from each other are the same kind of
question. No pushdown automaton has room for it. So the grammar leaves marks where such a memory is needed, and an
automaton with registers reads them:

| module | idea |
|---|---|
| `marks` | bytes that no text contains, where an array opens, an item ends, an array closes |
| `values` | finished values: equal exactly if JSON says so, however they were written |
| `numerals` | numbers while they are read, exactly |
| `reader` | a value while it is read, byte by byte, as an immutable state |
| `used` | the finished values of one array, and whether an unfinished one could still equal one of them |
| `threads` | a reading of the text so far: a state of the marked grammar and the registers of its open arrays |
| `futures` | whether a thread can be finished: at once if nothing forbids it, else by search for a witness |
| `wide` | which tokens of a vocabulary a mask has to look at one by one |
| `automaton` | the automaton over tokens, with the interface of all others |
| `grammar` | a grammar whose rules leave marks |

The marks are read as moves without input. Where two sub-schemas disagree about whether an array is unique, the
readings are two threads.
"""
