#!/usr/bin/env perl
# Print the lines `gc` and `script` of grammars/schema/recognizers/property_names.txt: the names of these properties'
# values in their official spelling, from the Unicode database that comes with perl. The line `binary` is the table
# "Binary Unicode property aliases" of ECMA-262 and written by hand.
use strict;
use warnings;
use Unicode::UCD qw(prop_values prop_value_aliases);

my %respelled = (Cntrl => "cntrl", Digit => "digit", Punct => "punct");    # perl writes these in title case
for my $property ("gc", "script") {
    my %names;
    for my $value (prop_values($property)) {
        my @aliases = prop_value_aliases($property, $value);
        next if grep { /^(Zzzz|Hrkt)$/ } @aliases;                         # stand for no script
        $names{ $respelled{$_} // $_ } = 1 for grep { length } @aliases;
    }
    print join(" ", $property, sort keys %names), "\n";
}
