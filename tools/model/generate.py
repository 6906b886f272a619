"""The text that the default model learns: conversations made by rule.

Everything here is drawn from one seeded random source, so a seed gives the same
conversations everywhere.  A conversation is a list of (role, text); `kind` says
what it exercises.  Sums, facts and story subjects are split into training and
held-out ones by a checksum of their content, so the two never meet.

    python3 generate.py --seed 1 --count 5          shows some
    python3 generate.py --seed 1 --count 5 --held-out

Standard library only; the words and the plots are in words.py, the small talk in talk.py.
"""
import argparse
import random
import re
import zlib

import words
from talk import REFUSALS, TALK, TOPICS, UNKNOWN

UNTOLD = "The story does not say."


def held_out(*parts):
    """One in twenty, by content."""
    return zlib.crc32("/".join(map(str, parts)).encode()) % 20 == 0


def articles(text):
    return re.sub(r"\b([Aa]) (?=[aeiou](?!ni))", r"\1n ", text)


def capital(text):
    return text[0].upper() + text[1:]


class Person:
    def __init__(self, name, girl):
        self.name = name
        self.he, self.his, self.him = ("she", "her", "her") if girl else ("he", "his", "him")


class Maker:
    def __init__(self, seed, want_held_out=False):
        self.random = random.Random(seed)
        self.want_held_out = want_held_out

    # ---- Drawing -----------------------------------------------------------------

    def pick(self, items):
        return items[int(self.random.random() * len(items))]

    def chance(self, share):
        return self.random.random() < share

    def number(self, low, high):
        return low + int(self.random.random() * (high - low + 1))

    def sample(self, items, count):
        return self.random.sample(items, count)

    def split(self, draw):
        """Draws until the content is on the wanted side of the split."""
        while True:
            parts = draw()
            if held_out(*parts) == self.want_held_out:
                return parts

    def invented(self):
        return "".join(self.pick(words.SYLLABLES) for _ in range(self.number(2, 3)))

    def noun(self, known, share=0.1):
        """A word from the list, now and then one that nobody knows."""
        return self.invented() if self.chance(share) else self.pick(known)

    def fresh(self, taken, draw):
        """A drawn value that is not among those taken, and is from now on."""
        while True:
            value = draw()
            if value not in taken:
                taken.add(value)
                return value

    def person(self, taken, girl=None, share=0.1):
        if girl is None:
            girl = self.chance(0.5)
        names = words.GIRLS if girl else words.BOYS
        return Person(self.fresh(taken, lambda: capital(self.noun(names, share))), girl)

    def spot(self):
        thing = self.pick(words.SPOTS)
        ways = ["under", "behind", "next to", "behind", "near"]
        ways += ["in", "in", "in", "inside"] if thing in words.INSIDE else []
        ways += ["on", "on", "on", "on top of"] if thing in words.TOPPED else []
        return f"{self.pick(ways)} the {thing}"

    def rough(self, text):
        """As people type: now and then without capitals or the mark at the end."""
        if self.chance(0.12):
            text = text.lower()
        if self.chance(0.12):
            text = text.rstrip("?.!")
        return text

    # ---- Arithmetic --------------------------------------------------------------

    def operand(self, digits):
        return self.number(*((0, 9) if digits == 1 else (10 ** (digits - 1), 10 ** digits - 1)))

    def numbers(self, digits=None):
        """Two numbers on the wanted side; which comes first does not matter to the side."""
        def draw():
            if digits:
                sizes = (digits, digits)
            elif self.chance(0.6):
                sizes = (3, 3)
            else:
                sizes = (self.number(1, 3), self.number(1, 3))
            return tuple(sorted(map(self.operand, sizes)))
        a, b = self.split(draw)
        return (b, a) if self.chance(0.5) else (a, b)

    def arithmetic(self, digits=None, minus=None):
        if minus is None:
            minus = self.chance(0.25)
        a, b = self.numbers(digits)
        if not minus:
            question = self.pick([f"What is {a} + {b}?", f"What is {a} + {b}?", f"{a} + {b}", f"{a} + {b}",
                                  f"{a} + {b} = ?", f"{a} + {b} =", f"{a}+{b}", f"What is {a}+{b}?",
                                  f"How much is {a} plus {b}?", f"What is {a} plus {b}?", f"What's {a} + {b}?",
                                  f"Please compute {a} + {b}.", f"Can you work out {a} + {b}?", f"Calculate {a} + {b}",
                                  f"How much is {a} + {b}?", f"Add {a} and {b}.", f"What is the sum of {a} and {b}?",
                                  f"{a} plus {b}", f"And {a} + {b}?", f"Please add {a} and {b}."])
            return question, f"{a} + {b} = {a + b}."
        if a < b and self.chance(0.9):
            a, b = b, a
        question = self.pick([f"What is {a} - {b}?", f"What is {a} - {b}?", f"{a} - {b}", f"{a} - {b} = ?", f"{a}-{b}",
                              f"How much is {a} minus {b}?", f"What is {a} minus {b}?", f"What's {a} - {b}?",
                              f"Please compute {a} - {b}.", f"Can you work out {a} - {b}?", f"Calculate {a} - {b}",
                              f"Subtract {b} from {a}.", f"{a} minus {b}", f"And {a} - {b}?", f"Take {b} away from {a}."])
        return question, f"{a} - {b} = {a - b}."

    def word_problem(self):
        p = self.person(set())
        a, b = self.split(lambda: tuple(sorted((self.number(2, 60), self.number(2, 40)))))
        what = self.pick(words.COUNTED)
        if self.chance(0.5):
            told = self.pick([f"{p.name} has {a} {what} and gets {b} more.", f"{p.name} had {a} {what}. Then {p.he} found {b} more.",
                              f"{p.name} buys {a} {what} and then {b} {what}."])
            return (f"{told} How many {what} does {p.name} have now?", f"{a} + {b} = {a + b}. {p.name} has {a + b} {what}.")
        told = self.pick([f"{p.name} has {b} {what} and gives away {a}.", f"{p.name} had {b} {what}. Then {p.he} lost {a}."])
        left = b - a
        return (f"{told} How many {what} does {p.name} have left?", f"{b} - {a} = {left}. {p.name} has {left} {what} left.")

    def other_numbers(self):
        """Comparing, counting, and sums that are too hard."""
        a, b = self.numbers()
        draw = self.random.random()
        if draw < 0.35 and a != b:
            word, value = ("larger", max(a, b)) if self.chance(0.6) else ("smaller", min(a, b))
            asked = self.pick([f"Which is {word}, {a} or {b}?", f"Which number is {word}, {a} or {b}?"])
            return asked, f"{value} is {word} than {a + b - value}."
        if draw < 0.5:
            first = self.number(0, 90)
            last = first + self.number(3, 10)
            asked = self.pick([f"Count from {first} to {last}.", f"Can you count from {first} to {last}?"])
            return asked, ", ".join(map(str, range(first, last + 1))) + "."
        if draw < 0.55:
            return self.pick(["Count to ten.", "Can you count?"]), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10."
        if draw < 0.8:
            way = self.pick(["*", "x", "times", "/", "divided by"])
            word = "multiply" if way in ("*", "x", "times") else "divide"
            asked = self.pick([f"What is {a} {way} {b}?", f"{a} {way} {b}", f"How much is {a} {way} {b}?"])
            return asked, f"I cannot {word}. I can add and subtract."
        a, b = self.operand(self.number(4, 6)), self.operand(self.number(1, 6))
        if self.chance(0.5):
            a, b = b, a
        asked = self.pick([f"What is {a} + {b}?", f"{a} + {b}", f"{a} - {b}", f"How much is {a} plus {b}?"])
        return asked, "These numbers are too large for me. I learned numbers of up to three digits."

    # ---- Stories -----------------------------------------------------------------

    def cast(self):
        """Who and what a story is about."""
        kinds = words.ANIMALS + words.PEOPLE
        kind, thing = self.split(lambda: (self.noun(kinds, 0.05), self.noun(words.THINGS, 0.05)))
        girl = True if kind in words.GIRL_KINDS else False if kind in words.BOY_KINDS else None
        taken = set()
        hero, friend = self.person(taken, girl), self.person(taken)
        place, at = self.pick(words.PLACES)
        return dict(n=hero.name, k=kind, t=thing, c=self.pick(words.COLORS), f=friend.name,
                    fk=self.pick([k for k in words.ANIMALS if k != kind]), place=place, at=at, spot=self.spot(),
                    food=self.pick(words.FOODS), mood=self.pick(words.MOODS), time=self.pick(words.TIMES),
                    verb=words.LEARNED.get(thing, "use"), he=hero.he, He=capital(hero.he), his=hero.his,
                    His=capital(hero.his), him=hero.him)

    def story(self, c):
        """The text, and the name of its plot."""
        plots = [name for name, (things, _, _) in words.PLOTS.items() if c["t"] in things] or ["lost", "found"]
        plot = self.pick(plots)
        if plot in words.OUTDOOR_PLOTS:
            c["place"], c["at"] = self.pick(words.OUTDOORS)
        lines = [self.pick(words.OPENINGS)] + [self.pick(options) for options in words.PLOTS[plot][1]]
        return articles(" ".join(line.format(**c) for line in lines)), plot

    def story_request(self, c):
        asked = self.pick(["Tell me a story about a {k} and a {t}.", "Tell me a story about a {k} and a {t}.",
                           "Tell me a story about a {k} with a {c} {t}.", "Tell me a story about a {k} who has a {t}.",
                           "Tell me a story about a {k}.", "Write a story about a {k} and a {t}.",
                           "Write a short story about a {k}.", "Please tell me a story with a {t} in it.",
                           "Tell me a story about {n} the {k}.", "Tell me a story.", "Tell me a story.",
                           "Can you tell me a story?", "Tell me another story.", "Another story, please.",
                           "I would like to hear a story about a {t}.", "Can you tell me a story about a {k} and a {t}?",
                           "A story about a {k} and a {t}, please.", "Tell me about {n} and the {c} {t}.",
                           "Tell me a story about {n} and {f}.", "Tell me a story about a {mood} {k}.",
                           "Make up a story about a {k} named {n}.", "Tell me a story about a {k} called {n}.",
                           "Tell me a story about a {c} {t}.", "Once upon a time", "A bedtime story, please."])
        asked = articles(asked.format(**c))
        return self.rough(asked) if asked.count(" a ") + asked.count(" an ") and c["n"] not in asked else asked

    def story_questions(self, c, plot, count):
        """Questions whose answers any reader of the story knows."""
        options = [("What was the name of the {k}?", "The {k} was called {n}."), ("Who was {n}?", "{n} was a {k}."),
                   ("Who is the story about?", "It is about {n} the {k}."),
                   ("What color was the {t}?", "The {t} was {c}."), ("What color was the {t}?", "The {t} was {c}."),
                   ("Who was {f}?", "{f} was a {fk}."), ("What kind of animal was {f}?", "{f} was a {fk}.")]
        options += words.PLOTS[plot][2] * 2
        asked = dict(self.sample(options, min(len(options), 2 * count)))
        return [(articles(q.format(**c)), articles(a.format(**c))) for q, a in list(asked.items())[:count]]

    # ---- Facts -------------------------------------------------------------------

    def fact(self, relation, p, q, taken):
        """Sentences and (question, answer) pairs that say one thing of p, perhaps with q."""
        n, thing = p.name, lambda: self.fresh(taken, lambda: self.noun(words.THINGS))
        place = lambda: self.fresh(taken, lambda: self.pick(words.PLACES))
        draw = lambda kind: self.fresh(taken, lambda: self.pick(kind))
        if relation == "put":
            past, base = self.pick([("put", "put"), ("put", "put"), ("put", "put"), ("left", "leave"), ("hid", "hide"),
                                    ("placed", "place"), ("kept", "keep"), ("lost", "lose"), ("found", "find")])
            t, spot = self.key if self.key else (thing(), self.spot())
            self.key = None
            taken.add(t)
            spot = self.fresh(taken, lambda: spot) if spot not in taken else self.fresh(taken, self.spot)
            c = draw(words.COLORS) if self.chance(0.75) else ""
            ct = f"{c} {t}" if c else t
            whose = self.pick(["the", "the", "the", "a", p.his])
            said = [f"{n} {past} {whose} {ct} {spot}."]
            asked = [(f"Where did {n} {base} the {ct}?", f"{n} {past} the {ct} {spot}."),
                     (f"Where did {n} {base} the {t}?", f"{n} {past} the {t} {spot}."),
                     (f"What did {n} {base} {spot}?", f"{n} {past} the {ct} {spot}."),
                     (f"Who {past} the {t}?", f"{n} {past} the {t}."),
                     (f"Who {past} the {ct} {spot}?", f"{n} {past} the {ct} {spot}.")]
            if past not in ("lost", "found"):
                asked += [(f"Where is the {t}?", f"The {t} is {spot}."), (f"Where is the {ct}?", f"The {ct} is {spot}."),
                          (f"What is {spot}?", f"The {ct} is {spot}.")]
            return said, asked + [(f"What color is the {t}?", f"The {t} is {c}.")] * (2 if c else 0)
        if relation == "do":
            past, base = self.pick([("bought", "buy"), ("saw", "see"), ("carried", "carry"), ("sold", "sell"), ("broke", "break"),
                                    ("cleaned", "clean"), ("washed", "wash"), ("took", "take"), ("made", "make"),
                                    ("painted", "paint"), ("opened", "open"), ("wanted", "want"), ("brought", "bring"),
                                    ("fixed", "fix"), ("drew", "draw"), ("dropped", "drop")])
            t, c = thing(), draw(words.COLORS)
            (_, at) = place() if self.chance(0.6) else (None, "")
            said = [f"{n} {past} a {c} {t}{' ' + at if at else ''}."]
            if at and self.chance(0.3):
                said = [f"{capital(at)}, {n} {past} a {c} {t}."]
            asked = [(f"What did {n} {base}?", f"{n} {past} a {c} {t}."), (f"Who {past} the {t}?", f"{n} {past} the {t}."),
                     (f"What color was the {t}?", f"The {t} was {c}.")]
            return said, asked + ([(f"Where did {n} {base} the {t}?", f"{n} {past} the {t} {at}."),
                                   (f"What did {n} {base} {at}?", f"{n} {past} a {c} {t} {at}.")] if at else [])
        if relation == "go":
            spot, _ = place()
            way = self.pick(["went", "went", "walked", "ran", "traveled"])
            base = {"went": "go", "walked": "walk", "ran": "run", "traveled": "travel"}[way]
            animal = draw(words.ANIMALS) if self.chance(0.4) else ""
            said = [f"{n} {way} to the {spot}{f' with a {animal}' if animal else ''}."]
            asked = [(f"Where did {n} {base}?", f"{n} {way} to the {spot}."), (f"Who {way} to the {spot}?", f"{n} {way} to the {spot}.")]
            return said, asked + ([(f"Which animal {way} with {n}?", f"A {animal} {way} with {n}.")] if animal else [])
        if relation == "live":
            _, at = place()
            said = self.pick([f"{n} lives {at}.", f"{n} lives in a house {at}.", f"The house of {n} is {at}."])
            return [said], [(f"Where does {n} live?", f"{n} lives {at}."), (f"Who lives {at}?", f"{n} lives {at}.")]
        if relation == "pet":
            animal, pet = draw(words.ANIMALS), self.person(taken).name
            said = self.pick([f"{n} has a {animal} named {pet}.", f"{n} has a {animal}. The {animal} is called {pet}.",
                              f"{n} has a pet {animal} whose name is {pet}."])
            return [said], [(f"Which animal does {n} have?", f"{n} has a {animal}."), (f"What animal does {n} have?", f"{n} has a {animal}."),
                            (f"What pet does {n} have?", f"{n} has a {animal}."),
                            (f"What is the name of the {animal}?", f"The {animal} is called {pet}."),
                            (f"What is {n}'s {animal} called?", f"The {animal} is called {pet}."),
                            (f"Who has a {animal}?", f"{n} has a {animal}."), (f"Who is {pet}?", f"{pet} is a {animal}.")]
        if relation == "eat":
            food, food2 = draw(words.FOODS), draw(words.FOODS)
            meal = self.pick(["lunch", "breakfast", "dinner"])
            said = self.pick([f"For {meal} {n} ate a {food}, and {q.name} ate a {food2}.", f"{n} ate a {food} for {meal}.",
                              f"{n} ate a {food}, but {q.name} ate a {food2}.", f"{n} ate a {food}."])
            asked = [(f"What did {n} eat?", f"{n} ate a {food}."), (f"Who ate the {food}?", f"{n} ate the {food}.")]
            if food2 in said:
                asked += [(f"What did {q.name} eat?", f"{q.name} ate a {food2}."), (f"Who ate the {food2}?", f"{q.name} ate the {food2}.")]
            return [said], asked
        if relation == "like":
            if self.chance(0.5):
                c = draw(words.COLORS)
                return [f"{n}'s favorite color is {c}."], [(f"What is {n}'s favorite color?", f"{n}'s favorite color is {c}."),
                                                          (f"Whose favorite color is {c}?", f"{c.capitalize()} is {n}'s favorite color.")]
            dish = draw(words.DISHES)
            return ([self.pick([f"{n} likes {dish}.", f"{n} loves {dish}."])],
                    [(f"What does {n} like?", f"{n} likes {dish}."), (f"Who likes {dish}?", f"{n} likes {dish}.")])
        if relation == "job":
            job = draw(words.JOBS)
            return ([self.pick([f"{n} is a {job}.", f"{n} works as a {job}."])],
                    [(f"What is {n}'s job?", f"{n} is a {job}."), (f"Who is a {job}?", f"{n} is a {job}."),
                     (f"Who is the {job}?", f"{n} is the {job}.")])
        if relation == "age":
            age = draw(range(3, 100))
            return ([self.pick([f"{n} is {age} years old.", f"{n} is {age}."])],
                    [(f"How old is {n}?", f"{n} is {age} years old."), (f"Who is {age} years old?", f"{n} is {age} years old.")])
        if relation == "give":
            t, c = thing(), draw(words.COLORS)
            m = q.name
            said = self.pick([f"{n} gave {m} a {c} {t}.", f"{n} gave a {c} {t} to {m}.", f"{m} got a {c} {t} from {n}."])
            return [said], [(f"What did {n} give {m}?", f"{n} gave {m} a {c} {t}."), (f"Who gave {m} the {t}?", f"{n} gave {m} the {t}."),
                            (f"What did {n} give to {m}?", f"{n} gave {m} a {c} {t}."), (f"What did {m} get?", f"{m} got a {c} {t}."),
                            (f"Who got the {t}?", f"{m} got the {t}."), (f"Who got the {c} {t}?", f"{m} got the {c} {t}.")]
        if relation == "meet":
            _, at = place()
            m, day = q.name, self.pick(words.DAYS + words.HOURS)
            said = self.pick([f"{n} met {m} {at} {day}.", f"{capital(day)}, {n} met {m} {at}."])
            return [said], [(f"Where did {n} meet {m}?", f"{n} met {m} {at}."), (f"When did {n} meet {m}?", f"{n} met {m} {day}."),
                            (f"Who did {n} meet?", f"{n} met {m}."), (f"Who met {m}?", f"{n} met {m}.")]
        if relation == "count":
            what = draw(words.COUNTED)
            count = draw(words.NUMBERS) if self.chance(0.5) else str(draw(range(2, 60)))
            return ([f"{n} has {count} {what}."], [(f"How many {what} does {n} have?", f"{n} has {count} {what}."),
                                                   (f"Who has {count} {what}?", f"{n} has {count} {what}.")])
        t, one, two = thing(), self.fresh(taken, self.spot), self.fresh(taken, self.spot)  # "move"
        said = self.pick([f"The {t} was {one}. Then {n} took it and put it {two}.", f"First the {t} was {one}, but {n} put it {two}."])
        return [said], [(f"Where is the {t} now?", f"The {t} is {two}."), (f"Where was the {t} first?", f"The {t} was {one}."),
                        (f"Where did {n} put the {t}?", f"{n} put the {t} {two}."), (f"Who moved the {t}?", f"{n} moved the {t}.")]

    RELATIONS = ["put", "do", "go", "live", "pet", "eat", "like", "job", "age", "give", "meet", "count", "move"]
    # Told once in a text: they say something of the second person too.
    PAIRED = {"eat", "give", "meet"}
    FILLERS = ["It was a sunny day.", "Everyone was happy.", "The birds were singing.", "It was raining.", "The wind was cold.",
               "Nobody else was there.", "The sun was shining.", "It was very quiet.", "They laughed a lot.",
               "Then it was time to go home.", "The day was long.", "In the evening everyone was tired."]

    def facts(self, count=1):
        """A short text and questions on facts in it."""
        taken = set()
        people = []
        name, thing, spot = self.split(lambda: (capital(self.noun(words.GIRLS + words.BOYS)), self.noun(words.THINGS), self.spot()))
        girl = name in words.GIRLS or (name not in words.BOYS and self.chance(0.5))
        taken.add(name)
        people.append(Person(name, girl))
        for _ in range(self.pick([1, 1, 1, 2])):
            people.append(self.person(taken))
        self.key = (thing, spot)
        told, used = [], set()

        def tell(relation, p):
            q = self.pick([other for other in people if other is not p])
            names = [relation] if relation in self.PAIRED else [relation + p.name]
            if any(name in used for name in names):
                return None
            used.update(names)
            said, asked = self.fact(relation, p, q, taken)
            return p, said[0], asked

        told.append(tell("put", people[0]))
        for _ in range(self.pick([0, 1, 1, 2, 2, 3, 3, 4])):
            made = tell(self.pick(self.RELATIONS), self.pick(people))
            if made:
                told.append(made)
        hidden = None
        if self.chance(0.25):
            hidden = tell(self.pick([r for r in self.RELATIONS if r not in self.PAIRED and r != "put"]), self.pick(people))
        self.random.shuffle(told)
        lines, last, alone = [], None, False
        if self.chance(0.2):
            a, b = people[:2]
            lines.append(self.pick([f"Once upon a time there were two friends, {a.name} and {b.name}.",
                                    f"This is a story about {a.name} and {b.name}.", f"{a.name} and {b.name} are friends."]))
        for p, said, _ in told:
            others = [x for x in people if x is not p and x.name in said]
            if p is last and alone and said.startswith(p.name + " ") and self.chance(0.4):
                said = capital(p.he) + said[len(p.name):]
            elif said.startswith(p.name) and self.chance(0.15):
                said = self.pick(words.TIMES + ["Then", "Later", "Yesterday", "After that", "Today"]) + \
                    self.pick([", ", ", ", " "]) + said
                said = re.sub(r"^(One|Late|Early|On|After|Later|Yesterday|Today)([^,]*?) (?=%s)" % p.name, r"\1\2, ", said).replace(",,", ",")
            last, alone = p, not others
            lines.append(said)
            if self.chance(0.12):
                lines.append(self.pick(self.FILLERS))
                last = None
        text = articles(" ".join(lines))
        pool = [pair for _, _, asked in told for pair in asked] + told[0][2]
        questions = dict(self.sample(pool, min(len(pool), count + 1)))
        pairs = list(questions.items())[:count]
        if hidden and len(pairs) > 1:
            pairs[self.number(0, len(pairs) - 1)] = (self.pick(hidden[2])[0], UNTOLD)
        elif hidden and self.chance(0.2) and not self.want_held_out:
            pairs = [(self.pick(hidden[2])[0], UNTOLD)]
        return text, [(articles(q), articles(a)) for q, a in pairs]

    def ask_of_text(self, text, pairs):
        """The text of the user's and its questions, as turns."""
        turns = []
        (question, answer), more = pairs[0], pairs[1:]
        draw = self.random.random()
        if draw < 0.15:
            first = self.pick(["Here is a story. ", "Listen: ", "", "", "Read this: ", "I will tell you a story. "])
            turns += [("user", first + text), ("assistant", self.pick(["That is a nice story. What would you like to know?",
                                                                       "I have read it. Ask me about it.",
                                                                       "Thank you for the story. Do you have a question?"]))]
            turns += [("user", question)]
        elif draw < 0.2:
            turns += [("user", f"Story: {text} Question: {question}")]
        elif draw < 0.25:
            turns += [("user", f"{text}\n\n{question}")]
        elif draw < 0.35:
            turns += [("user", f"{text}\n{question}")]
        else:
            turns += [("user", f"{text} {question}")]
        turns += [("assistant", answer)]
        for question, answer in more:
            turns += [("user", question), ("assistant", answer)]
        return turns

    # ---- Small talk --------------------------------------------------------------

    def talk(self):
        if self.chance(0.2):
            question = self.pick(UNKNOWN).format(topic=self.noun(TOPICS, 0.3), place=capital(self.noun(words.BOYS, 0.6)))
            return self.rough(question), self.pick(REFUSALS)
        questions, answers = self.pick(TALK)
        return self.rough(self.pick(questions)), self.pick(answers)

    # ---- Conversations -------------------------------------------------------------

    def conversation(self):
        """(kind, [(role, text), ...])"""
        turns, draw = [], self.random.random()
        if draw < 0.36:
            for _ in range(self.pick([1, 2, 3, 4])):
                part = self.random.random()
                question, answer = self.word_problem() if part < 0.07 else self.other_numbers() if part < 0.15 else self.arithmetic()
                turns += [("user", self.rough(question) if part >= 0.07 else question), ("assistant", answer)]
            return "arithmetic", turns
        if draw < 0.54:
            c = self.cast()
            text, plot = self.story(c)
            turns = [("user", self.story_request(c)), ("assistant", text)]
            for question, answer in self.story_questions(c, plot, self.pick([0, 0, 1, 2, 3])):
                turns += [("user", question), ("assistant", answer)]
            return "story", turns
        if draw < 0.62:
            c = self.cast()
            text, plot = self.story(c)
            return "facts", self.ask_of_text(text, self.story_questions(c, plot, self.pick([1, 2, 3])))
        if draw < 0.93:
            return "facts", self.ask_of_text(*self.facts(self.pick([1, 2, 3, 4])))
        for _ in range(self.pick([1, 2, 3])):
            question, answer = self.pick([self.talk, self.talk, self.arithmetic])()
            turns += [("user", question), ("assistant", answer)]
        return "talk", turns


def render(turns):
    """ChatML, as the model's chat template writes it."""
    return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns)


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--count", type=int, default=5)
    options.add_argument("--held-out", action="store_true")
    arguments = options.parse_args()
    maker = Maker(arguments.seed, arguments.held_out)
    for _ in range(arguments.count):
        kind, turns = maker.conversation()
        print(f"[{kind}]\n{render(turns)}")
