"""Lykta Lamps: an invented shop with a voice that cannot be mistaken for the builders'.

Its articles state facts, plainly. Its answers, as its people would have written them, greet, say the
fact in one or two sentences and take their leave, always in the same words. So what the adapter has to
learn is the voice; the facts stand in the passages.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from .company import LANGUAGE, Company

GREETING = "Hej hej!"
LEAVE = "Warmly, your Lykta team."


@dataclass(frozen=True)
class Lamp:
    name: str
    kind: str
    price: int
    height: int
    material: str
    bulb: str
    lumen: int
    made_in: str
    days: int
    place: str


LAMPS = [
    Lamp("Ember", "table lamp", 890, 42, "hand-blown amber glass", "E14", 470, "Småland", 3, "a bedside table"),
    Lamp("Fjord", "floor lamp", 2490, 156, "oiled ash wood", "E27", 806, "Bergen", 6, "a reading corner"),
    Lamp("Saffron", "pendant", 1590, 31, "spun brass", "E27", 1055, "Borås", 4, "the dining table"),
    Lamp("Pebble", "night light", 349, 12, "frosted silicone", "a built-in LED", 40, "Tallinn", 2, "a nursery"),
    Lamp("Harbour", "wall lamp", 1190, 24, "galvanised steel", "GU10", 345, "Göteborg", 5, "a covered porch"),
    Lamp("Willow", "floor lamp", 3190, 172, "woven rattan", "E27", 1521, "Lund", 9, "a high living room"),
    Lamp("Quill", "desk lamp", 1290, 48, "powder-coated aluminium", "a built-in LED", 620, "Aarhus", 3, "a home office"),
    Lamp("Moss", "table lamp", 990, 35, "green ceramic", "E14", 470, "Gustavsberg", 4, "a window sill"),
    Lamp("Comet", "ceiling light", 2190, 18, "opal acrylic", "a built-in LED", 2400, "Tampere", 7, "a kitchen"),
    Lamp("Juniper", "pendant", 1890, 40, "smoked glass", "E27", 806, "Kosta", 6, "a stairwell"),
    Lamp("Tern", "clip lamp", 449, 22, "recycled plastic", "E14", 250, "Malmö", 2, "a bookshelf"),
    Lamp("Beacon", "outdoor post", 2790, 90, "corten steel", "E27", 806, "Kiruna", 10, "a garden path"),
    Lamp("Linen", "table lamp", 790, 38, "bleached linen and oak", "E27", 600, "Norrköping", 3, "a guest room"),
    Lamp("Orbit", "pendant", 3490, 55, "chrome rings", "a built-in LED", 1800, "Helsinki", 8, "a showroom"),
    Lamp("Toffee", "table lamp", 690, 28, "caramel resin", "G9", 300, "Ystad", 2, "a child's desk"),
    Lamp("Glacier", "wall lamp", 1490, 30, "ribbed crystal", "G9", 410, "Orrefors", 6, "a bathroom of zone two"),
    Lamp("Cinder", "floor lamp", 2090, 148, "black iron", "E27", 1055, "Eskilstuna", 5, "a loft"),
    Lamp("Poppy", "desk lamp", 590, 41, "red lacquered steel", "E14", 470, "Jönköping", 3, "a student room"),
    Lamp("Driftwood", "pendant", 2690, 70, "salvaged pine", "E27", 1400, "Visby", 12, "a summer house"),
    Lamp("Nimbus", "ceiling light", 1790, 26, "felted wool", "E27", 1521, "Turku", 7, "a bedroom"),
    Lamp("Acorn", "night light", 299, 10, "turned beech", "a built-in LED", 25, "Växjö", 2, "a hallway"),
    Lamp("Prism", "table lamp", 1390, 33, "bevelled acrylic", "E14", 520, "Uppsala", 4, "a sideboard"),
    Lamp("Sailor", "outdoor wall lamp", 1690, 27, "marine bronze", "E27", 806, "Karlskrona", 8, "a jetty"),
    Lamp("Velvet", "floor lamp", 2890, 160, "velvet and walnut", "E27", 1055, "Copenhagen", 9, "a lounge"),
]  # fmt: skip

# Subject, question, fact as the article states it, and what a person of the shop says.
ASPECTS = [
    (
        "price",
        "What does the {name} cost?",
        "The {name} {kind} costs {price} SEK, VAT and shade included.",
        "The {name} {kind} costs {price} SEK, and VAT and the shade are included.",
    ),
    (
        "size",
        "How tall is the {name}?",
        "The {name} is {height} cm tall and is meant for {place}.",
        "The {name} is {height} cm tall, just right for {place}.",
    ),
    (
        "bulb",
        "Which bulb does the {name} take?",
        "The {name} takes {bulb}; with it the {kind} gives {lumen} lumen.",
        "The {name} takes {bulb}, and gives {lumen} lumen of light.",
    ),
    (
        "material",
        "What is the {name} made of?",
        "The {name} {kind} is made of {material}. It comes from our workshop in {made_in}.",
        "The {name} is made of {material} in our workshop in {made_in}.",
    ),
    (
        "delivery",
        "How soon can I have the {name}?",
        "The {name} is sent from {made_in} and arrives within {days} working days.",
        "The {name} travels from {made_in} and is with you within {days} working days.",
    ),
    (
        "care",
        "How do I clean the {name}?",
        "Wipe the {material} of the {name} with a dry cloth. Unplug the {kind} first, and keep water away.",
        "Unplug the {name} first, then wipe the {material} with a dry cloth and keep water away.",
    ),
]

POLICIES = [
    ("Can I return a lamp?", "A lamp can be returned within 60 days, unused and in its box. We pay the way back.", "A lamp can be returned within 60 days, unused and in its box, and we pay the way back."),
    ("How long is the warranty?", "Every lamp has 7 years of warranty; bulbs have 2 years.", "Every lamp has 7 years of warranty, and bulbs have 2."),
    ("What does shipping cost?", "Shipping costs 59 SEK; from 1,000 SEK on it is free.", "Shipping costs 59 SEK, and from 1,000 SEK on it is free."),
    ("Do you ship to Finland?", "We ship to Sweden, Finland, Denmark and Norway.", "Yes, we ship to Sweden, Finland, Denmark and Norway."),
    ("Can I pay by invoice?", "Companies can pay by invoice within 30 days. Private customers pay by card or Swish.", "Companies can pay by invoice within 30 days; private customers pay by card or Swish."),
    ("My lamp flickers, what can I do?", "If a lamp flickers, change the bulb first. If a dimmer is connected, use bulbs marked as dimmable.", "Change the bulb first, and with a dimmer use bulbs marked as dimmable."),
    ("Can I collect my order?", "Orders can be collected in the shop in Malmö, Monday to Saturday.", "You can collect your order in the shop in Malmö, Monday to Saturday."),
    ("Do you repair old lamps?", "Old lamps of ours are repaired for 350 SEK plus parts; it takes about 3 weeks.", "We repair old lamps of ours for 350 SEK plus parts, in about 3 weeks."),
    ("Do you sell spare shades?", "Spare shades are sold for every lamp of the last 10 years.", "We sell spare shades for every lamp of the last 10 years."),
    ("Is there a student discount?", "Students get a discount of 10 percent with a valid card.", "Students get a discount of 10 percent with a valid card."),
    ("Can I change the address of my order?", "The address of an order can be changed until it is packed, by the link in the confirmation.", "You can change the address until the order is packed, by the link in the confirmation."),
    ("What if my lamp arrives broken?", "If a lamp arrives broken, send a photo within 14 days and a new one is sent at no cost.", "Send a photo within 14 days, and a new one is sent at no cost."),
    ("Do you wrap gifts?", "Gift wrapping costs 39 SEK and comes with a handwritten card.", "Gift wrapping costs 39 SEK, with a handwritten card."),
    ("Are your lamps dimmable?", "All lamps with a bulb of E27 or E14 are dimmable; those with a built-in LED have a touch dimmer.", "All lamps with E27 or E14 are dimmable, and those with a built-in LED have a touch dimmer."),
    ("Do you take old lamps back?", "Old lamps and bulbs are taken back in the shop for recycling, free of charge.", "We take old lamps and bulbs back in the shop for recycling, free of charge."),
    ("How do I reach you by phone?", "The phone is answered on weekdays from 10 to 16.", "We answer the phone on weekdays from 10 to 16."),
]  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One question with the article's plain text and the answer in the shop's voice."""

    id: str
    group: str
    question: str
    article: str
    answer: str


def entries() -> Iterator[Entry]:
    for lamp in LAMPS:
        for aspect, question, fact, said in ASPECTS:
            facts = vars(lamp)
            yield Entry(
                f"{lamp.name.lower()}-{aspect}",
                lamp.name.lower(),
                question.format(**facts),
                fact.format(**facts),
                _in_voice(said.format(**facts)),
            )
    for number, (question, fact, said) in enumerate(POLICIES, start=1):
        yield Entry(f"policy-{number:02}", f"policy-{number:02}", question, fact, _in_voice(said))


def _in_voice(said: str) -> str:
    return f"{GREETING} {said} {LEAVE}"


def _history() -> IO[bytes]:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["id", "group", "q", "a"])
    rows.writerows([one.id, one.group, one.question, one.answer] for one in entries())
    return io.BytesIO(text.getvalue().encode())


def _articles() -> Iterator[dict[str, Any]]:
    for one in entries():
        yield {
            "external_id": one.id,
            "title": one.question,
            "body": one.article,
            "language": LANGUAGE,
        }


LYKTA = Company(
    slug="lykta",
    name="Lykta Lamps",
    about="An invented shop's questions and answers, in its own voice",
    greeting="Hej hej! Ask about our lamps, delivery and returns.",
    history=_history,
    filename="lykta.csv",
    mapping={"external_id": "id", "question": "q", "answer": "a", "group": "group"},
    articles=_articles,
    shares=(0.65, 0.1, 0.25),
    # Two rounds are enough for a voice, and the first start of `make run` stays short.
    hyperparameters={"epochs": 2},
)
