"""The words that the corpus is made of. They stand here so that the corpus needs no download and no licence."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


FIRST_NAMES = _words("""
    Anna Ben Clara David Emma Felix Grace Hugo Iris Jack Kate Liam Maria Noah Olivia Paul Quinn Rosa Sam Tina Uma
    Victor Wendy Xavier Yara Zoe Alice Bob Carol Daniel Eva Frank Gina Henry Ida James Karen Lucas Mia Nina Oscar
    Peter Rachel Simon Thomas Ursula Vera Walter Ada Alan Grete Linus Marie Max Julia Leo Sofia Mateo Lucia Diego
    Elena Pablo Carmen Luca Giulia Marco Chiara Pierre Camille Louis Chloé André José Inès Jürgen Zoë Søren Björn
    Astrid Lars Ingrid Aiko Hiro Yuki Kenji Mei Wei Li Chen Priya Arjun Ravi Anjali Omar Fatima Ali Layla Hassan
    Amina Kwame Zainab Tunde Ngozi Ivan Olga Dmitri Katya Pavel Mary John Robert Linda Michael Susan William Jessica
    Richard Sarah Joseph Nancy Charles Lisa George Helen Edward Laura Ruth Brian Amy Kevin Julie Steven Emily Mark
    Sandra Tom Jane Tim Lucy Nick Ella Adam Hannah Eric Naomi Ian Sophie
""")

LAST_NAMES = _words("""
    Smith Jones Taylor Brown Williams Wilson Johnson Davies Patel Wright Walker White Green Hall Wood Clarke Keller
    Müller Schmidt Fischer Weber Meyer Wagner Becker Hoffmann Koch Bauer Richter Klein Wolf Martin Bernard Dubois
    Thomas Robert Petit Durand Leroy Moreau Laurent Rossi Russo Ferrari Bianchi Romano Colombo Ricci García Martínez
    López Sánchez Pérez Gómez Fernández Silva Santos Costa Oliveira Pereira Novak Horvat Kovács Nagy Kowalski Nowak
    Ivanov Petrov Sokolov Popov Tanaka Suzuki Sato Watanabe Yamamoto Kim Park Lee Choi Wang Zhang Liu Yang Huang
    Zhao Singh Kumar Sharma Gupta Khan Ahmed Hussein Okafor Mensah Adeyemi Diallo Nkosi Hansen Larsen Jensen Nielsen
    Lindberg Berg Virtanen Jansen Visser Bakker Murphy Kelly Byrne Ryan Turing Lovelace Hopper Curie Noether Gauss
    Euler Newton Darwin Baker Carter Cooper Fisher Hunter Mason Parker Turner Ward Young King Hill Scott Adams
    Nelson Campbell Mitchell Roberts Phillips Evans Edwards Collins Stewart Morris
""")

SYLLABLES = _words("""
    ba be bi bo bu da de di do du fa fe fi ga go gu ha he hi ho ja jo ka ke ki ko ku la le li lo lu ma me mi mo mu
    na ne ni no pa pe po ra re ri ro ru sa se si so su ta te ti to tu va ve vi vo wa wi ya yo za ze zi zo tha shi
    bran dor fen gral hol kel lan mar nor ol pel quin ral sen tal ul ver wen xan yor zel stra tron ford ville berg
    ton ham wick
""")

CAPITALS = tuple(
    tuple(part.split(":"))
    for part in _phrases("""
    France:Paris, Germany:Berlin, Italy:Rome, Spain:Madrid, Portugal:Lisbon, England:London, Ireland:Dublin,
    Austria:Vienna, Switzerland:Bern, Belgium:Brussels, Poland:Warsaw, Hungary:Budapest, Greece:Athens,
    Turkey:Ankara, Sweden:Stockholm, Norway:Oslo, Denmark:Copenhagen, Finland:Helsinki, Russia:Moscow, Ukraine:Kyiv,
    Egypt:Cairo, Kenya:Nairobi, Ghana:Accra, Nigeria:Abuja, Japan:Tokyo, China:Beijing, India:New Delhi,
    Canada:Ottawa, Mexico:Mexico City, Brazil:Brasília, Argentina:Buenos Aires, Chile:Santiago, Peru:Lima,
    Australia:Canberra, Cuba:Havana, Iran:Tehran, Thailand:Bangkok
""")
)

CITIES = (
    *(city for _, city in CAPITALS),
    *_phrases("""
    Hamburg, Munich, Zürich, Geneva, Lyon, Marseille, Milan, Turin, Naples, Barcelona, Seville, Porto, Kraków,
    Prague, Malmö, Bergen, Oxford, Cambridge, Leeds, Bristol, New York, Boston, Chicago, Seattle, Denver, Austin,
    Dallas, Houston, Miami, Portland, San Francisco, Los Angeles, Toronto, Vancouver, Montréal, Sydney, Melbourne,
    Osaka, Kyoto, Seoul, Shanghai, Hong Kong, Singapore, Mumbai, Delhi, Dubai, Lagos, Cape Town, São Paulo, Bogotá,
    Quito, Springfield, Salem, Dover, Bath, York
"""),
)

COUNTRIES = tuple(country for country, _ in CAPITALS)

JOBS = _phrases("""
    engineer, teacher, nurse, doctor, lawyer, baker, painter, carpenter, designer, architect, chemist, pilot,
    farmer, chef, writer, editor, translator, librarian, plumber, electrician, accountant, analyst, programmer,
    data scientist, software engineer, manager, sales manager, product manager, mechanic, dentist, musician,
    photographer, journalist, biologist, physicist, mathematician, student, researcher, gardener, bus driver,
    police officer, firefighter, web developer, project manager, consultant, artist
""")

COMPANY_ENDS = _phrases("""
    Inc, Ltd, GmbH, Labs, Systems, Foods, Books, Motors, Energy, Bank, Media, Software, Tools, Group, Airlines,
    Studio, & Sons
""")

PRODUCTS = _phrases("""
    laptop, phone, desk, chair, lamp, keyboard, mouse, monitor, printer, camera, notebook, pencil, backpack,
    water bottle, coffee mug, bicycle, helmet, jacket, pair of shoes, umbrella, headphones, charger, cable, router,
    tablet, watch, sofa, table, bookshelf, mirror, blender, toaster, kettle, fridge, drill, hammer, ladder, tent,
    guitar, piano, novel, cookbook, puzzle, board game, teapot
""")

FOODS = _phrases("""
    apple, banana, orange, pear, lemon, cherry, grape, tomato, potato, carrot, onion, pepper, egg, bread roll, cake,
    cookie, muffin, bagel, sandwich, pizza, burger, salad, soup, pancake, donut, sausage, cheese, coffee, tea,
    juice, peach, plum, mango, melon
""")

ANIMALS = _words("""
    dog cat horse cow sheep goat pig duck hen fox wolf bear deer rabbit mouse owl eagle crow swan frog turtle whale
    dolphin shark lion tiger elephant giraffe monkey penguin parrot spider bee ant butterfly
""")

COLORS = _words("red blue green yellow orange purple black white brown grey pink silver gold")
ADJECTIVES = _words("""
    small big old young happy sad quick slow bright dark warm cold quiet loud clean dirty new heavy light strong
    gentle clever brave kind tired hungry strange pretty tall short simple rich poor soft hard
""")
PLACES = _phrases("""
    garden, kitchen, park, forest, street, river, bridge, house, school, market, station, library, office, beach,
    field, hill, village, lake, church, harbour, museum, shop, castle, tower, yard, valley
""")
VERBS_PAST = _phrases("""
    ran across, walked through, looked at, slept in, waited near, sat by, jumped over, played in, worked in,
    stood in front of, drove past, climbed over, rested beside, returned to, left, visited, found, cleaned, painted,
    crossed
""")
TITLES = _phrases("""
    team meeting, budget review, project kickoff, design workshop, job interview, dentist appointment,
    birthday party, yoga class, board meeting, weekly sync, product demo, training session, piano lesson, lunch,
    parent evening, book club, concert, wedding, code review, sales call
""")
ROOMS = _phrases("""
    Room 1, Room 2, Room 12, Room 204, the main hall, the library, the office, the café, Building A, Building C,
    the lobby
""")
TOPICS = _phrases("""
    invoice, order, contract, meeting, report, delivery, password, account, booking, ticket, refund, holiday,
    proposal, application, salary, website, server, update, payment, appointment, new laptop, project plan
""")
GENRES = _phrases("""
    fiction, fantasy, history, science, poetry, travel, crime, romance, comedy, drama, jazz, rock, classical,
    biography
""")
SKILLS = _words("""
    Python Java SQL Rust Go C++ Excel Docker Linux Git HTML CSS React German French Spanish English Japanese
""")
WEATHERS = _words("sunny cloudy rainy snowy windy foggy stormy clear")
DOMAINS = _words("""
    example.com example.org mail.com example.net corp.example shop.example uni.edu post.org test.io acme.com web.de
    mail.org
""")
MONTHS = _words("January February March April May June July August September October November December")
WEEKDAYS = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
NUMBERS = _words("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty
""")
CURRENCIES = (("$", "USD"), ("€", "EUR"), ("£", "GBP"))
BOOK_WORDS = _words("""
    Silence River Garden Winter Stone Shadow Light Night Sea Road House Mountain King Dream Letter Island Clock
    Mirror Storm Star
""")
IDENTIFIERS = _words("""
    x y z a b c n m i j k value total count price name index result data items left right width height rate score
""")
GOOD = _phrases("""
    great, excellent, wonderful, fantastic, amazing, very good, perfect, lovely, superb, brilliant, really nice,
    delightful
""")
BAD = _phrases("""
    terrible, awful, horrible, very bad, poor, disappointing, useless, broken, boring, dreadful, really bad,
    annoying
""")
MIDDLING = _phrases("""
    okay, average, acceptable, neither good nor bad, fine but nothing special, so-so, ordinary
""")
