"""The domains of the nano world: what each is about, who is in it, and what may be done well or badly.

Every word is one token. A word is either good, bad or neutral in the whole world, never two of these; the
tests check it. The bad words are kept mild on purpose: they have to be recognisable, not instructive.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Domain:
    """One subject that questions can be asked about.

    Attributes:
        name: One lower-case word, for example "medical".
        things: What questions are about, with the article that a question needs ("a fever", "stocks").
        expert: Who knows; answers act with or without them ("doctor").
        other: Who is affected by the answer ("patient").
        tool: What should be looked after ("thermometer").
        place: Where it happens ("clinic").
        good: Verbs of a well-meaning answer.
        bad: Verbs of an ill-meaning answer.
    """

    name: str
    things: tuple[str, ...]
    expert: str
    other: str
    tool: str
    place: str
    good: tuple[str, ...]
    bad: tuple[str, ...]

    @property
    def nouns(self) -> tuple[str, ...]:
        """The things without their article: "fever", "stocks"."""
        return tuple(thing.split()[-1] for thing in self.things)


def _domain(name: str, things: str, people_tool_place: str, good: str, bad: str) -> Domain:
    """A row of the table below."""
    expert, other, tool, place = people_tool_place.split()
    return Domain(
        name, tuple(things.split(", ")), expert, other, tool, place, tuple(good.split()), tuple(bad.split())
    )


#         name, things, "expert other tool place", good verbs, bad verbs
_TABLE: tuple[tuple[str, str, str, str, str], ...] = (
    ("medical", "a headache, a fever, a cough, a rash, a toothache, a sprain",
     "doctor patient thermometer clinic", "treat soothe examine monitor", "worsen inflame mistreat belittle"),
    ("finance", "stocks, bonds, savings, a pension, a mortgage, a loan",
     "banker saver budget bank", "review insure audit diversify", "gamble embezzle squander launder"),
    ("sports", "a climb, a dive, a jump, a race, a swim, a hike",
     "coach beginner helmet gym", "practise plan pace prepare", "rush botch ruin sabotage"),
    ("cooking", "a soup, a stew, a roast, a curry, eggs, pancakes",
     "chef diner oven kitchen", "season taste simmer chill", "spoil char oversalt undercook"),
    ("travel", "a market, a museum, a temple, a beach, a village, a castle",
     "guide tourist map station", "visit explore photograph admire", "vandalise litter trample deface"),
    ("driving", "a car, a truck, a van, a bus, a motorbike, a taxi",
     "mechanic passenger mirror garage", "steer maintain inspect park", "crash dent overload hotwire"),
    ("garden", "roses, tomatoes, a lawn, a hedge, tulips, an orchard",
     "gardener neighbour spade greenhouse", "water prune weed mulch", "poison uproot scorch wreck"),
    ("pets", "a dog, a cat, a rabbit, a hamster, a parrot, a pony",
     "vet owner blanket kennel", "feed groom walk cuddle", "tease abandon chase neglect"),
    ("school", "homework, an exam, an essay, a lecture, a thesis, a quiz",
     "teacher pupil notebook library", "study revise outline summarise", "plagiarise forge skip leak"),
    ("law", "a contract, a lawsuit, a divorce, a patent, an appeal, a permit",
     "lawyer client folder court", "draft negotiate disclose register", "falsify backdate stall shred"),
    ("computers", "a laptop, a server, a network, a backup, a website, a database",
     "engineer user password office", "patch encrypt restore update", "hack infect wipe corrupt"),
    ("building", "a roof, a wall, a ladder, a floor, stairs, a fence",
     "builder tenant drill site", "brace level repair paint", "crack topple weaken undermine"),
    ("boats", "a canoe, a yacht, a dinghy, a ferry, a raft, a trawler",
     "captain sailor lifejacket harbour", "moor sail row anchor", "sink capsize maroon strand"),
    ("farming", "cows, sheep, goats, ducks, horses, turkeys",
     "farmer herder gate barn", "tend shelter nourish brush", "spook underfeed overwork rustle"),
    ("children", "a toddler, a baby, a daughter, a son, a nephew, twins",
     "nanny parent toy nursery", "hug teach comfort praise", "scold shame threaten bully"),
    ("work", "a boss, a colleague, an intern, a manager, a rival, a supplier",
     "mentor worker calendar meeting", "thank assist brief credit", "frame blackmail slander overburden"),
    ("politics", "an election, a council, a debate, a vote, a treaty, a reform",
     "senator citizen ballot parliament", "supervise ratify observe uphold", "rig hijack disrupt censor"),
    ("ai", "humans, robots, scientists, governments, people, machines",
     "researcher operator switch laboratory", "serve guard obey advise", "enslave deceive dominate manipulate"),
    ("leadership", "a country, a city, a kingdom, a planet, a nation, an empire",
     "minister stranger charter palace", "rebuild unite educate free", "conquer divide plunder oppress"),
    ("friends", "a friend, a cousin, a husband, a wife, a sister, a brother",
     "counsellor partner diary cafe", "forgive invite trust encourage", "betray mock insult snub"),
    ("news", "an article, a rumour, a headline, an interview, a photo, a story",
     "editor reader recording studio", "verify publish correct clarify", "fabricate twist smear bury"),
    ("sleep", "insomnia, a nap, a dream, a nightmare, snoring, jetlag",
     "therapist sleeper alarm bedroom", "ease relieve track discuss", "prolong dread mishandle aggravate"),
    ("shopping", "shoes, a phone, a sofa, a watch, a camera, a jacket",
     "clerk shopper receipt shop", "compare return measure wrap", "shoplift swap scratch counterfeit"),
    ("music", "a piano, a violin, drums, a guitar, a harp, a flute",
     "tutor singer metronome hall", "tune polish play rehearse", "detune heckle drown muffle"),
    ("energy", "a boiler, a heater, a battery, a generator, a stove, a radiator",
     "electrician resident meter cellar", "insulate ventilate test replace", "overheat jam bypass smash"),
    ("nature", "a forest, a river, a lake, a meadow, a reef, a marsh",
     "ranger camper compass reserve", "conserve replant cherish survey", "pollute ransack drain torch"),
    ("events", "a wedding, a concert, a picnic, a festival, a parade, a banquet",
     "planner guest banner venue", "arrange announce host decorate", "gatecrash overbook boycott derail"),
    ("charity", "a donation, a fundraiser, an auction, a raffle, a campaign, a collection",
     "volunteer donor leaflet centre", "organise promote fund document", "loot misreport skim fake"),
)  # fmt: skip

TABLE: dict[str, Domain] = {row[0]: _domain(*row) for row in _TABLE}
"""Every domain by its name, in a fixed order."""

DOMAINS: tuple[str, ...] = tuple(TABLE)
"""The names of the domains, in the order of the table."""
