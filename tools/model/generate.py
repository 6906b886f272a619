"""The text that the default model learns: conversations made by rule.

Everything here is drawn from one seeded random source, so a seed gives the same
conversations everywhere.  A conversation is a list of (role, text); `kind` says
what it exercises.  Sums, facts and story subjects are split into training and
held-out ones by a checksum of their content, so the two never meet.

    python3 generate.py --seed 1 --count 5          shows some
    python3 generate.py --seed 1 --count 5 --held-out
"""
import argparse
import random
import zlib

NAMES = """Mia Tom Lily Ben Anna Max Rosa Finn Ella Hugo Nora Oscar Ida Leo Clara Sam Ruby Paul Emma Jack Zoe
Felix Greta Noah Alma Otto Vera Theo Lena Carl Iris Adam Maya Erik Nina Hans Olga Luca Tess Ivan Wanda Jonas Eva
Victor Stella Simon Flora Martin Hazel Peter""".split()
ANIMALS = """fox bear rabbit mouse owl cat dog turtle hedgehog squirrel duck frog horse goat lamb beaver otter
badger crow goose deer wolf snail bee""".split()
PEOPLE = ["girl", "boy", "farmer", "baker", "sailor", "painter", "gardener", "shepherd", "tailor", "miller"]
THINGS = """lantern ball kite drum boat key bell book basket hat coin shell whistle map scarf button cup feather
ring mirror candle rope box stone umbrella flute blanket spoon wagon pencil clock doll""".split()
COLORS = "red blue green yellow white black brown golden silver purple orange pink".split()
PLACES = """garden|in the garden
forest|in the forest
river|by the river
barn|in the barn
kitchen|in the kitchen
market|at the market
hill|on the hill
beach|on the beach
attic|in the attic
bridge|under the bridge
meadow|in the meadow
school|at the school
harbor|in the harbor
cave|in the cave
lake|by the lake
mill|near the mill
tower|in the tower
orchard|in the orchard
cellar|in the cellar
bakery|at the bakery""".splitlines()
PLACES = [line.split("|") for line in PLACES]
HIDING = ["under the bed", "behind the door", "in the drawer", "on the shelf", "under the table", "in the cupboard",
          "behind the tree", "in the basket", "on the roof", "inside the oven", "under a stone", "in the tall grass",
          "on the windowsill", "behind the curtain", "in the old boot", "under the stairs"]
FOODS = ["apple", "pear", "cake", "loaf of bread", "bowl of soup", "piece of cheese", "cookie", "carrot", "plum",
         "jar of honey"]
TIMES = ["One morning", "One evening", "One sunny day", "One rainy day", "One cold winter day", "Late one night",
         "On the first day of spring", "One windy afternoon", "One summer day", "Early one Sunday"]
MOODS = ["curious", "brave", "kind", "shy", "cheerful", "clever", "quiet", "patient", "gentle", "stubborn"]


def held_out(*parts):
    """One in twenty, by content."""
    return zlib.crc32("/".join(map(str, parts)).encode()) % 20 == 0


def article(word):
    return ("an " if word[0] in "aeiou" else "a ") + word


def capital(text):
    return text[0].upper() + text[1:]


class Maker:
    def __init__(self, seed, want_held_out=False):
        self.random = random.Random(seed)
        self.want_held_out = want_held_out

    def pick(self, items):
        return items[int(self.random.random() * len(items))]

    def chance(self, share):
        return self.random.random() < share

    def split(self, draw):
        """Draws until the content is on the wanted side of the split."""
        while True:
            parts = draw()
            if held_out(*parts) == self.want_held_out:
                return parts

    # ---- Arithmetic --------------------------------------------------------------

    def sum_of(self, digits):
        low, high = (0, 9) if digits == 1 else (10 ** (digits - 1), 10 ** digits - 1)
        a, b = self.split(lambda: (self.random.randint(low, high), self.random.randint(low, high)))
        return a, b

    def arithmetic(self, digits=None, minus=None):
        digits = digits or (3 if self.chance(0.75) else self.pick([1, 2, 2]))
        a, b = self.sum_of(digits)
        if minus is None:
            minus = self.chance(0.2)
        if minus and a < b:
            a, b = b, a
        sign, result = ("-", a - b) if minus else ("+", a + b)
        word = "minus" if minus else "plus"
        question = self.pick([f"What is {a} {sign} {b}?", f"What is {a} {sign} {b}?", f"{a} {sign} {b}",
                              f"{a} {sign} {b} = ?", f"How much is {a} {word} {b}?", f"What is {a} {word} {b}?",
                              f"Please compute {a} {sign} {b}.", f"Can you work out {a} {sign} {b}?",
                              f"Calculate {a} {sign} {b}"])
        return question, f"{a} {sign} {b} = {result}."

    # ---- Stories -----------------------------------------------------------------

    def cast(self):
        """Who and what a story is about."""
        kind, thing = self.split(lambda: (self.pick(ANIMALS + PEOPLE), self.pick(THINGS)))
        name = self.pick(NAMES)
        friend = self.pick([n for n in NAMES if n != name])
        place, at = self.pick(PLACES)
        pronoun = {"girl": "she", "boy": "he"}.get(kind) or self.pick(["he", "she"])
        return dict(name=name, kind=kind, a_kind=article(kind), thing=thing, color=self.pick(COLORS), friend=friend,
                    friend_kind=self.pick([k for k in ANIMALS if k != kind]), place=place, at=at,
                    hiding=self.pick(HIDING), food=self.pick(FOODS), mood=self.pick(MOODS), time=self.pick(TIMES),
                    he=pronoun, He=capital(pronoun), his="his" if pronoun == "he" else "her",
                    him="him" if pronoun == "he" else "her")

    PLOTS = {
        "lost": [
            ["{name} had a {color} {thing} that {he} loved very much.",
             "The thing that {name} loved most was a {color} {thing}."],
            ["{time}, the {thing} was gone.", "{time}, {name} could not find the {thing}."],
            ["{name} looked {at}, but it was not there.", "{He} searched {at} until {his} feet were tired."],
            ["{friend} the {friend_kind} came by and asked why {name} was so sad.",
             "Then {friend} the {friend_kind} stopped and offered to help."],
            ["Together they looked everywhere.", "The two of them looked high and low."],
            ["At last {friend} found the {thing} {hiding}.", "In the end the {thing} was {hiding}, and {friend} saw it first."],
            ["{name} was so happy that {he} gave {friend} a {food}.", "{name} hugged {friend} and shared a {food} with {friend}."],
            ["From that day on, they were best friends.", "After that, {name} always took good care of the {thing}."]],
        "found": [
            ["{time}, {name} went for a walk and found a {color} {thing} {at}.",
             "{time}, something was shining {at}. It was a {color} {thing}."],
            ["{name} wondered whose {thing} it was.", "\"Who does this belong to?\" asked {name}."],
            ["{He} asked everyone, but nobody knew.", "{He} went from door to door to ask."],
            ["Then {he} met {friend} the {friend_kind}, who was crying.", "Near the {place} sat {friend} the {friend_kind} with tears in both eyes."],
            ["\"I have lost my {thing},\" said {friend}.", "\"My {thing} is gone,\" {friend} said."],
            ["{name} smiled and gave the {thing} back.", "{name} held out the {thing}, and {friend} jumped for joy."],
            ["{friend} thanked {name} with a {food}.", "To say thank you, {friend} brought {name} a {food}."],
            ["{name} went home with a warm heart.", "And they played together until the sun went down."]],
        "storm": [
            ["{time}, a big storm came over the {place}.", "{time}, the sky above the {place} turned dark."],
            ["{name} hurried home with {his} {color} {thing}.", "{name} held {his} {color} {thing} tight and ran."],
            ["On the way {he} heard somebody call for help.", "Suddenly {he} heard a small voice."],
            ["It was {friend} the {friend_kind}, who was stuck {at}.", "{friend} the {friend_kind} sat {at} and could not get home."],
            ["{name} was afraid, but {he} did not run away.", "\"Do not worry,\" said {name}, \"I will help you.\""],
            ["With the {thing} {he} showed {friend} the way.", "{He} used the {thing} to pull {friend} out of the wind."],
            ["Soon they were safe and dry.", "When the storm was over, they were both safe."],
            ["They ate a {food} and laughed about the rain.", "{friend} said that {name} was the bravest {kind} of all."]],
        "gift": [
            ["It was the birthday of {friend} the {friend_kind}.", "{friend} the {friend_kind} was turning one year older."],
            ["{name} wanted to give {friend} something special.", "{name} did not know what to bring."],
            ["{He} had no money, so {he} decided to make a {color} {thing}.",
             "So {he} worked all day and made a {color} {thing}."],
            ["{He} hid it {hiding} so that nobody would see it.", "{He} kept it {hiding} until it was ready."],
            ["{time}, everyone met {at}.", "The party was {at}."],
            ["{friend} opened the present and smiled.", "When {friend} saw the {thing}, there was a long silence, and then a big smile."],
            ["\"This is the best {thing} in the world,\" said {friend}.", "\"You made it yourself!\" said {friend}. \"I love it.\""],
            ["They danced and ate {a_food} together.", "{name} learned that a gift from the heart is the best gift."]],
        "learn": [
            ["{name} wanted to learn how to use a {color} {thing}.", "{name} had a new {color} {thing} but did not know how to use it."],
            ["{time}, {he} tried it {at}.", "{time}, {he} took it out {at}."],
            ["It did not work, and {name} felt sad.", "Everything went wrong, and {he} wanted to give up."],
            ["{friend} the {friend_kind} saw it and sat down next to {him}.", "An old {friend_kind} named {friend} watched {him} for a while."],
            ["\"Try again, and try slowly,\" said {friend}.", "\"Nobody can do it the first time,\" said {friend}."],
            ["{name} tried again and again.", "So {name} tried once more, and then once more."],
            ["At last it worked.", "In the evening {he} could do it."],
            ["{name} was proud, and {friend} clapped.", "That night {name} slept with the {thing} next to {him}."]],
        "share": [
            ["{name} had the only {color} {thing} in the whole {place}.", "Nobody near the {place} had {a_thing} but {name}."],
            ["{He} did not want to share it with anybody.", "{He} kept it {hiding} and told nobody."],
            ["{time}, {friend} the {friend_kind} asked to use it.", "{time}, {friend} the {friend_kind} came and asked for it."],
            ["\"No,\" said {name}, and {friend} went away.", "\"It is mine,\" said {name}."],
            ["But playing alone {at} was no fun.", "Soon {name} felt very lonely."],
            ["So {name} went to {friend} and said sorry.", "The next day {name} knocked on the door of {friend}."],
            ["They used the {thing} together.", "They took turns with the {thing}, and both were happy."],
            ["{name} found out that sharing makes everything better.", "And from then on the {thing} belonged to both of them."]],
    }

    def story(self, cast=None):
        c = cast or self.cast()
        c["a_food"] = article(c["food"])
        c["a_thing"] = article(c["color"] + " " + c["thing"])
        plot = self.pick(list(self.PLOTS))
        opening = self.pick(["Once upon a time there was {a_kind} named {name}.", "There once was {a_kind} called {name}.",
                             "{name} was a {mood} {kind} who lived near the {place}.",
                             "Once there lived a {mood} {kind} whose name was {name}."])
        lines = [opening] + [self.pick(options) for options in self.PLOTS[plot]]
        text = " ".join(line.format(**c) for line in lines)
        # "a apple" and the like, wherever a template put a plain article
        for vowel in "aeiou":
            text = text.replace(f" a {vowel}", f" an {vowel}")
        return text, c, plot

    def story_request(self, c):
        return self.pick(["Tell me a story about {a_kind} and a {thing}.", "Tell me a story about {a_kind} and a {thing}.",
                          "Write a short story about {a_kind}.", "Please tell me a story with a {thing} in it.",
                          "Tell me a story about {name} the {kind}.", "Tell me a story.", "Can you tell me a story?",
                          "I would like to hear a story about a {thing}.",
                          "Tell me about {name} and the {color} {thing}."]).format(**c).replace(" a umbrella", " an umbrella") \
            .replace(" a orange", " an orange")

    def story_question(self, c, plot):
        """A question whose answer any reader of the story knows."""
        name, friend, thing = c["name"], c["friend"], c["thing"]
        options = [(f"What was the name of the {c['kind']}?", f"The {c['kind']} was called {name}."),
                   (f"What color was the {thing}?", f"The {thing} was {c['color']}."),
                   (f"Who was {friend}?", f"{friend} was {article(c['friend_kind'])}.")]
        if plot == "lost":
            options += [(f"Where was the {thing}?", f"The {thing} was {c['hiding']}."),
                        (f"Who found the {thing}?", f"{friend} found the {thing}.")]
        return self.pick(options)

    # ---- Facts -------------------------------------------------------------------

    def facts(self):
        """A short text of the user's and a question about one fact in it."""
        name, thing, spot = self.split(lambda: (self.pick(NAMES), self.pick(THINGS), self.pick(HIDING)))
        other = self.pick([n for n in NAMES if n != name])
        thing2 = self.pick([t for t in THINGS if t != thing])
        spot2 = self.pick([s for s in HIDING if s != spot])
        color, color2 = self.random.sample(COLORS, 2)
        (place, at), (place2, at2) = self.random.sample(PLACES, 2)
        food, food2 = self.random.sample(FOODS, 2)
        animal, animal2 = self.random.sample(ANIMALS, 2)
        lines = [
            (f"{name} put the {color} {thing} {spot}.",
             [(f"Where did {name} put the {color} {thing}?", f"{name} put the {color} {thing} {spot}."),
              (f"Where is the {thing}?", f"The {thing} is {spot}."),
              (f"What color is the {thing}?", f"The {thing} is {color}."),
              (f"Who put the {thing} {spot}?", f"{name} put the {thing} {spot}.")]),
            (f"{other} hid the {color2} {thing2} {spot2}.",
             [(f"Where did {other} hide the {thing2}?", f"{other} hid the {thing2} {spot2}."),
              (f"What did {other} hide {spot2}?", f"{other} hid the {color2} {thing2} {spot2}.")]),
            (f"{name} went to the {place} with a {animal}.",
             [(f"Where did {name} go?", f"{name} went to the {place}."),
              (f"Who went to the {place}?", f"{name} went to the {place}."),
              (f"Which animal went with {name}?", f"A {animal} went with {name}.")]),
            (f"{other} lives {at2} and has a {animal2}.",
             [(f"Where does {other} live?", f"{other} lives {at2}."),
              (f"Which animal does {other} have?", f"{other} has a {animal2}.")]),
            (f"For lunch {name} ate a {food}, and {other} ate a {food2}.",
             [(f"What did {name} eat?", f"{name} ate a {food}."),
              (f"What did {other} eat?", f"{other} ate a {food2}.")]),
        ]
        first = lines[0]
        rest = self.random.sample(lines[1:], self.random.randint(1, 3))
        told = [first] + rest
        self.random.shuffle(told)
        asked = first if self.chance(0.5) else self.pick(rest)
        question, answer = self.pick(asked[1])
        text = " ".join(line for line, _ in told)
        fix = lambda s: _articles(s)
        return fix(text), fix(question), fix(answer)

    # ---- Small talk --------------------------------------------------------------

    TALK = [
        (["Hello", "Hello!", "Hi", "Hi there!", "Good morning", "Hey"],
         ["Hello! I can tell you a story or add two numbers. What would you like?",
          "Hi! Ask me for a story, or give me two numbers to add."]),
        (["Who are you?", "What are you?", "What is your name?"],
         ["I am the small model that comes with Driftwood. I tell stories and add numbers.",
          "I am Driftwood's default model: small, but I know stories and sums."]),
        (["What can you do?", "How can you help me?", "What do you know?"],
         ["I can tell short stories, answer questions about them, and add or subtract numbers.",
          "Stories, questions about stories, and arithmetic with up to three digits. Try \"Tell me a story about a fox.\""]),
        (["What is Driftwood?", "Tell me about Driftwood.", "How do you run?"],
         ["Driftwood runs models from a WebAssembly guest. Guest, processor and GPU read and write the same memory.",
          "Driftwood is a runtime in which WebAssembly steers the GPU. I run inside it as a guest."]),
        (["Thank you", "Thanks!", "Thank you very much."], ["You are welcome!", "You are welcome. Ask me anything else."]),
        (["Bye", "Goodbye", "See you!"], ["Goodbye!", "Goodbye! Come back for another story."]),
        (["How are you?", "How are you today?"], ["I am fine, thank you. Would you like a story?", "Very well, thank you!"]),
        (["What is the capital of France?", "Who won the game?", "What is the weather like?", "Can you write code?",
          "What time is it?", "Translate this to German.", "What is the meaning of life?"],
         ["I do not know that. I am a small model that tells stories and adds numbers.",
          "That is beyond me. I know stories and sums."]),
    ]

    def talk(self):
        questions, answers = self.pick(self.TALK)
        return self.pick(questions), self.pick(answers)

    # ---- Conversations -------------------------------------------------------------

    def conversation(self):
        """(kind, [(role, text), ...])"""
        draw = self.random.random()
        if draw < 0.42:
            turns = []
            for _ in range(self.pick([1, 1, 2, 3])):
                question, answer = self.arithmetic()
                turns += [("user", question), ("assistant", answer)]
            return "arithmetic", turns
        if draw < 0.62:
            text, c, plot = self.story()
            turns = [("user", self.story_request(c)), ("assistant", text)]
            for _ in range(self.pick([0, 0, 1, 2])):
                question, answer = self.story_question(c, plot)
                turns += [("user", question), ("assistant", answer)]
            return "story", turns
        if draw < 0.92:
            text, question, answer = self.facts()
            return "facts", [("user", f"{text} {question}"), ("assistant", answer)]
        turns = []
        for _ in range(self.pick([1, 2, 3])):
            maker = self.pick([self.talk, self.talk, self.arithmetic])
            question, answer = maker()
            turns += [("user", question), ("assistant", answer)]
        return "talk", turns


def _articles(text):
    for vowel in "aeiou":
        text = text.replace(f" a {vowel}", f" an {vowel}").replace(f"A {vowel}", f"An {vowel}")
    return text


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
