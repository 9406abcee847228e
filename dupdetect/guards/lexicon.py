"""The words that guards look at: general English, written down for this project. Nothing here was taken from data.

All are small letters and without hyphens, as `reading` sees them.
"""

from __future__ import annotations

import itertools

__all__ = [
    "ALTERNATIVES",
    "LISTED",
    "MULTIPLIERS",
    "NEGATIONS",
    "NUMBERED",
    "NUMBER_WORDS",
    "OPPOSITES",
    "SAME_NAMES",
    "SCALES",
    "SMALL_WORDS",
    "SYMMETRIC",
    "TENS",
    "UNITS",
    "VERSION_WORDS",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _lines(text: str) -> tuple[tuple[frozenset[str], ...], ...]:
    """Return for each line `a | b c | d` its sets of words."""
    return tuple(
        tuple(_words(words) for words in line.split("|"))
        for line in text.strip().splitlines()
    )  # fmt: skip


def _inflected(text: str) -> tuple[tuple[frozenset[str], ...], ...]:
    """Return the same of verbs, each with its regular forms; forms that double a letter or are irregular are listed."""
    return tuple(
        tuple(frozenset(itertools.chain.from_iterable(map(_forms, words))) for words in line) for line in _lines(text)
    )


def _forms(verb: str) -> tuple[str, ...]:
    if verb.endswith("e"):
        return verb, f"{verb}s", f"{verb}d", f"{verb[:-1]}ing"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb, f"{verb[:-1]}ies", f"{verb[:-1]}ied", f"{verb}ing"
    if verb.endswith(("s", "x", "ch", "sh")):
        return verb, f"{verb}es", f"{verb}ed", f"{verb}ing"
    return verb, f"{verb}s", f"{verb}ed", f"{verb}ing"


NEGATIONS = _words(
    """
    not no never none nothing nobody nowhere neither nor without cannot cant dont doesnt didnt wont isnt arent wasnt
    werent havent hasnt hadnt couldnt shouldnt wouldnt unable aint
    """
)
"""Words that turn a sentence round; so does every word that ends in n't."""

_TWO_TO_TWENTY = (
    *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen"),
    *("fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
NUMBER_WORDS = {word: str(number) for number, word in enumerate(_TWO_TO_TWENTY, start=2)} | {
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90",
    "hundred": "100", "thousand": "1000", "million": "1000000", "billion": "1000000000", "twice": "2", "thrice": "3",
}  # fmt: skip
"""Not "one", which is a pronoun more often than a number."""

UNITS = {"one": "1"} | {word: NUMBER_WORDS[word] for word in _TWO_TO_TWENTY[:8]}
TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
"""Twenty and one of the units is one number."""

SCALES = _words("hundred thousand million billion")
"""A number before one of these is multiplied."""

MULTIPLIERS = _words("twice thrice")
"""Number words that are no part of a longer number."""

NUMBERED = _words(
    """
    order invoice ticket case account flight room reference ref id serial part item phone telephone mobile number
    booking reservation transaction tracking policy contract bill customer claim request version model po rma product
    article train bus house flat apartment card licence license passport parcel shipment delivery receipt membership
    member
    """
)
"""What is called by a number: the "no." of order no. 5512 negates nothing."""

VERSION_WORDS = _words("v ver version versions release releases build builds firmware")
"""Where a text has one, its numbers with a point are versions: 4.10 comes after 4.9."""

SMALL_WORDS = _words(
    """
    a an the this that these those there here it its it's
    is are was were be been being am i'm i've i'd i'll do does did doing done have has had having
    i me my mine myself you your yours yourself you're we us our ours they them their theirs
    can could will would shall should may might must
    of to at for from by with into about as than and or but if so then
    what which whom who whose how why when where what's that's there's
    some any just really very also too please hi hello hey dear thanks thank
    s t d ll re ve m st nd rd th
    """
)
"""Words that two texts may differ in beside what a guard looks at."""

SYMMETRIC = _words("and or nor vs versus with")
"""Words on whose two sides things may change places."""

OPPOSITES = _inflected(
    """
    enable activate | disable deactivate
    add insert | remove delete
    create | delete remove
    open reopen | close
    install | uninstall
    subscribe subscription | unsubscribe
    block | unblock
    lock | unlock
    mute | unmute
    hide hid hidden | show shown unhide
    follow | unfollow
    link connect | unlink disconnect
    join | leave left leaving
    start begin began begun beginning resume | stop stopped stopping end pause
    increase raise gain | decrease reduce lower lose lost losing
    upgrade | downgrade
    upload | download
    import | export
    send sent | receive
    buy bought purchase | sell sold
    borrow | lend lent
    deposit | withdraw withdrew withdrawn withdrawal
    love like | hate dislike
    win won winning | lose lost losing
    accept approve | reject decline refuse
    allow permit permitted permitting | forbid forbidden prohibit block deny
    encrypt encryption | decrypt decryption
    compress zip | decompress unzip extract
    merge combine | split splitting separate
    arrive arrival | depart departure
    succeed success successful successfully pass | fail failure
    push | pull
    undo undid | redo
    """
) + _lines(
    """
    on | off
    in | out
    up | down
    inside within | outside
    before | after
    earlier | later
    early | late
    first | last
    oldest older old | newest newer new
    above over | below under
    left | right
    top | bottom
    front | back
    north northern | south southern
    east eastern | west western
    more most | less least fewer fewest
    many | few
    high higher highest | low lower lowest
    big bigger biggest large larger largest | small smaller smallest little tiny
    long longer longest | short shorter shortest
    fast faster fastest quick quicker quickly | slow slower slowest slowly
    good better best | bad worse worst
    advantage advantages pro pros benefit benefits | disadvantage disadvantages con cons drawback drawbacks
    cheap cheaper cheapest | expensive
    hot hotter | cold colder
    easy easier easiest | hard harder hardest difficult
    strong stronger strongest | weak weaker weakest
    rich richer richest | poor poorer poorest
    thick thicker | thin thinner
    heavy heavier heaviest | light lighter lightest
    young younger youngest | old older oldest
    male males man men boy boys he him his | female females woman women girl girls she her hers
    valid | invalid
    legal legally | illegal illegally
    possible | impossible
    active | inactive
    visible | invisible
    public publicly | private privately
    online | offline
    incoming inbound inward | outgoing outbound outward
    input inputs | output outputs
    internal internally | external externally
    domestic national | international foreign
    manual manually | automatic automatically
    required mandatory compulsory | optional voluntary
    temporary temporarily | permanent permanently
    free | paid
    positive | negative
    minimum min minimal | maximum max maximal
    employer employers | employee employees
    teacher teachers | student students
    buyer buyers customer customers | seller sellers vendor vendors
    landlord landlords | tenant tenants
    sender senders | recipient recipients receiver receivers
    asset assets | liability liabilities
    same | different
    alive living | dead
    true | false
    ascending | descending
    horizontal horizontally | vertical vertically
    working works work | broken
    """
)
"""Pairs of sides; a word of one says the opposite of a word of the other."""

ALTERNATIVES = _lines(
    """
    monday mondays|tuesday tuesdays|wednesday wednesdays|thursday thursdays|friday fridays|saturday saturdays|sunday
    january jan|february feb|march|april|june|july|august|september sept|october|november|december
    spring|summer|autumn|winter
    morning|afternoon noon|evening|night midnight
    hour hours hourly|day days daily|week weeks weekly|month months monthly|quarterly|year years yearly annual annually
    android|ios iphone iphones ipad ipads|windows|mac macs macos macbook|linux ubuntu debian fedora|chromeos chromebook
    chrome|firefox|safari|edge|opera|brave
    phone phones smartphone mobile|tablet tablets ipad|laptop laptops notebook|desktop desktops
    pdf pdfs|csv|xls xlsx excel|doc docx word|ppt pptx powerpoint|json|xml|html|jpg jpeg|png|gif|svg|mp3|mp4|zip
    visa|mastercard|amex|paypal|maestro
    dollar dollars usd|euro euros eur|pound pounds gbp|yen jpy|rupee rupees inr|yuan cny|franc francs chf|bitcoin btc
    email emails mail|sms text|whatsapp|telegram|slack|skype|zoom
    google gmail|facebook|twitter|instagram|linkedin|microsoft outlook|apple icloud|amazon|yahoo|snapchat|netflix
    reddit|quora|github|gitlab|tiktok|pinterest|tumblr|facebook|twitter|instagram|youtube
    uber|lyft|airbnb
    python|java|javascript|typescript|php|ruby|perl|rust|swift|kotlin|golang|scala|haskell|matlab
    mysql|postgresql postgres|sqlite|mongodb|oracle|redis
    english|german|french|spanish|italian|portuguese|dutch|russian|polish|chinese mandarin|japanese|korean|arabic|hindi
    english|turkish|greek|latin|hebrew|tamil|telugu|bengali|urdu|punjabi|persian farsi|swedish|norwegian|danish|finnish
    red|blue|green|yellow|orange|purple violet|pink|brown|black|white|grey gray
    china|india|japan|russia|germany|france|italy|spain|portugal|canada|mexico|brazil|argentina|australia|usa america
    china|india|pakistan|bangladesh|iran|iraq|israel|egypt|turkey|greece|poland|syria|afghanistan|nepal|korea|taiwan
    england uk britain|scotland|ireland|france|germany|sweden|norway|denmark|finland|switzerland|austria|netherlands
    usa america|nigeria|kenya|indonesia|malaysia|singapore|thailand|vietnam|philippines|ukraine|cuba|canada|uk|india
    mumbai|delhi|bangalore bengaluru|chennai|hyderabad|kolkata|pune|london|paris|berlin|tokyo|beijing|shanghai|sydney
    london|paris|berlin|rome|madrid|barcelona|amsterdam|vienna|moscow|dubai|toronto|chicago|boston|seattle|houston
    mercury|venus|earth|mars|jupiter|saturn|uranus|neptune|pluto|moon|sun
    son sons|daughter daughters|father dad|mother mom mum|brother brothers|sister sisters|uncle|aunt|husband|wife
    dog dogs puppy|cat cats kitten|horse horses|bird birds|fish|rabbit rabbits|cow cows|pig pigs
    breakfast|lunch|dinner supper
    tea|coffee|beer|wine|milk|juice|water
    oxygen|hydrogen|nitrogen|carbon|helium|iron|copper|gold|silver|zinc|sodium|potassium|calcium
    kg kilogram kilograms kilo kilos|g gram grams|mg|lb lbs pound pounds|oz ounce ounces|ton tons tonne tonnes
    km kilometer kilometers kilometre kilometres|mile miles|cm centimeters centimetres|mm|inch inches|foot feet|yards
    celsius centigrade|fahrenheit|kelvin
    kb|mb|gb|tb
    mathematics maths math|physics|chemistry|biology|history|geography|economics|philosophy|psychology
    christianity christian christians|islam muslim muslims|hinduism hindu hindus|judaism jewish jews|buddhism buddhist
    admin admins administrator administrators|owner owners|member members|guest guests|viewer viewers|editor editors
    basic|standard|premium|enterprise|business|professional
    bus buses coach|train trains|plane planes flight flights|car cars|bike bikes bicycle|taxi taxis|ferry
    credit|debit|prepaid
    oneway single|return roundtrip
    """
)
"""Kinds of one thing: a text that names one of a line, and one that names others of it, are about different ones."""

SAME_NAMES = tuple(
    _words(line)
    for line in """
    us usa america american united states
    uk britain british england english kingdom
    eu europe european union
    uae emirates dubai
    ny nyc york
    la angeles
    sf francisco
    dc washington
    bombay mumbai
    calcutta kolkata
    madras chennai
    bangalore bengaluru
    burma myanmar
    holland netherlands dutch
    peking beijing
    fb facebook
    ig insta instagram
    yt youtube
    ms microsoft
    gdrive google drive
    wa whatsapp
    js javascript
    postgres postgresql
    k8s kubernetes
    vs visual studio
    tv television
    wifi wlan
    """.strip().splitlines()
)
"""Words of each line may be of one name."""

LISTED = frozenset(itertools.chain.from_iterable(itertools.chain.from_iterable((*OPPOSITES, *ALTERNATIVES))))
"""All of these words."""
