"""The words that generate.py makes its conversations of, and the plots of its stories."""

GIRLS = """Mia Lily Anna Rosa Ella Nora Ida Clara Ruby Emma Zoe Greta Alma Vera Lena Iris Maya Nina Olga Tess Wanda Eva
Stella Flora Hazel Alice Sara Julia Daisy Grace Lucy Molly Amy Kate Jane Sophie Hannah Marie Laura Ivy Elsa Heidi Mary
Lisa Susan Carol Betty Emily Olivia Ava Priya Aisha Yuki Mei Fatima Carmen Ingrid Sofia""".split()
BOYS = """Tom Ben Max Finn Hugo Oscar Leo Sam Paul Jack Felix Noah Otto Theo Carl Adam Erik Hans Luca Ivan Jonas Victor
Simon Martin Peter David Daniel Henry George Arthur Fred Walter Oliver Lukas Mark Bob John James Nick Tim Jim Will Harry
Charlie Emil Anton Rudi Kai Ali Omar Ravi Kenji Wei Diego Pedro Pablo Xavier Alex""".split()
ANIMALS = """fox bear rabbit mouse owl cat dog turtle hedgehog squirrel duck frog horse goat lamb beaver otter badger crow
goose deer wolf snail bee lion tiger elephant monkey penguin parrot donkey pony kitten puppy chicken pig cow sheep hen
swan sparrow eagle seal whale dolphin crab spider ant ladybug butterfly lizard camel giraffe zebra koala panda hamster
raccoon mole bat robin""".split()
# Heroes that are no animals; girl and boy also fix the pronoun.
PEOPLE = """girl boy farmer baker sailor painter gardener shepherd tailor miller prince princess king queen knight wizard
dragon robot giant dwarf fairy pirate teacher doctor fisherman clockmaker musician cook carpenter astronaut""".split()
GIRL_KINDS, BOY_KINDS = {"girl", "princess", "queen"}, {"boy", "prince", "king", "fisherman"}
JOBS = """farmer baker sailor painter gardener shepherd tailor miller teacher doctor nurse cook carpenter pilot driver
singer dancer writer plumber clockmaker musician librarian firefighter dentist juggler postman""".split()
COLORS = "red blue green yellow white black brown golden silver purple orange pink gray".split()
PLACES = """garden|in
forest|in
river|by
barn|in
kitchen|in
market|at
hill|on
beach|on
attic|in
bridge|under
meadow|in
school|at
harbor|at
cave|in
lake|by
mill|near
tower|in
orchard|in
cellar|in
bakery|at
park|in
village|in
library|in
station|at
castle|in
field|in
pond|by
zoo|at
farm|on
workshop|in
church|near
museum|in
island|on
swamp|in
town|in
desert|in
valley|in
playground|on
theater|in
hospital|in""".splitlines()
PLACES = [(place, f"{word} the {place}") for place, word in (line.split("|") for line in PLACES)]
OUTDOORS = [(place, at) for place, at in PLACES if place in
            "garden forest river hill beach meadow lake orchard park field pond farm valley island".split()]
OUTDOOR_PLOTS = {"storm", "rescue", "berries", "garden", "treasure"}
SPOTS = """bed door drawer shelf table cupboard tree basket roof oven stone windowsill curtain boot stairs box chair sofa
desk fridge closet bucket bush wall fence gate rug pillow barrel wagon shed lamp clock piano mirror bench log nest jar
hat bag trunk chest fireplace ladder window bathtub sink car pot haystack doghouse mailbox garage tent""".split()
INSIDE = set("""drawer cupboard basket oven boot box fridge closet bucket barrel wagon shed nest jar hat bag trunk chest
fireplace bathtub sink car pot haystack doghouse mailbox garage tent desk bush""".split())
TOPPED = set("""shelf table roof windowsill chair sofa desk bench log rug pillow wall stairs bed piano fridge stone
barrel box chest wagon car""".split())
FOODS = ["apple", "pear", "cake", "loaf of bread", "bowl of soup", "piece of cheese", "cookie", "carrot", "plum",
         "jar of honey", "banana", "sandwich", "pancake", "bowl of rice", "pizza", "muffin", "slice of melon", "potato",
         "peach", "salad", "pie", "egg", "waffle", "bowl of porridge", "tomato", "sausage"]
DISHES = "cheese bread soup rice cake pizza honey fish chocolate pasta pie salad porridge jam".split()
TIMES = ["One morning", "One evening", "One sunny day", "One rainy day", "One cold winter day", "Late one night",
         "On the first day of spring", "One windy afternoon", "One summer day", "Early one Sunday", "One autumn day",
         "One quiet afternoon"]
DAYS = "on Monday|on Tuesday|on Wednesday|on Thursday|on Friday|on Saturday|on Sunday".split("|")
HOURS = "in the morning|in the afternoon|in the evening|at noon|at night|after lunch|before breakfast".split("|")
MOODS = "curious brave kind shy cheerful clever quiet patient gentle stubborn young little careful lively".split()
COUNTED = """apples pears coins books marbles eggs stamps buttons cookies shells balloons pencils candles flowers stones
cards carrots plums hats keys""".split()
NUMBERS = "two three four five six seven eight nine ten eleven twelve".split()

# What one may learn to do with a thing.
LEARNED = {"kite": "fly", "drum": "play", "flute": "play", "bicycle": "ride", "sled": "ride", "boat": "sail",
           "wagon": "pull", "ball": "catch", "whistle": "blow", "trumpet": "play", "guitar": "play", "violin": "play",
           "piano": "play", "camera": "use", "telescope": "use", "compass": "use", "loom": "use", "hammer": "use",
           "scooter": "ride", "horn": "blow", "harp": "play", "needle": "use"}
PLAYED = """kite drum flute bicycle sled boat wagon ball trumpet guitar puzzle doll swing balloon scooter telescope
camera book""".split()
MADE = """kite drum boat basket hat scarf cup candle blanket spoon box doll flute puzzle mask cloak chair lamp sweater
pillow bracelet crown toy picture swing wagon sled""".split()
LIGHTS = "lantern candle lamp torch".split()
COVERS = "umbrella blanket cloak tent coat".split()
ROPES = "rope ladder scarf chain belt".split()
GUIDES = "map key compass letter".split()
CARRIERS = "basket bucket bag wagon pot".split()
TOOLS = "shovel bucket rake spade hoe".split()
OTHERS = """bell book coin shell button feather ring mirror stone pencil clock watch pen vase necklace glove shoe sock
teapot plate bottle notebook brush comb magnet medal pearl crystal flag phone laptop cap fork knife violin suitcase
flashlight apron ticket marble spyglass thimble wallet radio helmet statue backpack""".split()
THINGS = sorted(set(list(LEARNED) + PLAYED + MADE + LIGHTS + COVERS + ROPES + GUIDES + CARRIERS + TOOLS + OTHERS))
# Invented words, so that the model learns to repeat a word that it never saw.
SYLLABLES = """ba be bo bra da del do fa fen fi ga gor gri ha hu jo ka ki kor la len lo lu ma mi mo na nel no pa pi pol ra
ri ro sa sel si sta ta ti tor tu va ven vi wa wen xa ya yo za zi zor ble cra sho thu plo sne dri que""".split()

OPENINGS = ["Once upon a time there was a {k} named {n}.", "There once was a {k} called {n}.",
            "{n} was a {mood} {k} who lived near the {place}.",
            "Once there lived a {mood} {k} whose name was {n}.",
            "Once upon a time, a {mood} {k} called {n} lived near the {place}.",
            "In a house near the {place} lived a {k} named {n}.",
            "Long ago there was a {mood} {k} named {n}."]

# A plot: the things that fit, sentences with alternatives, questions that every telling answers.
# {he} {his} {him} are always the hero's; the friend is always named.
PLOTS = {
    "lost": (sorted(set(THINGS) - {"piano", "swing", "chair", "tent"}), [
        ["{n} had a {c} {t} that {he} loved very much.", "The thing that {n} loved most was a {c} {t}.",
         "{n} had a {c} {t} and took it everywhere."],
        ["{time}, the {t} was gone.", "{time}, {n} could not find the {t}.", "{time}, {n} woke up, and the {t} was gone."],
        ["{n} looked {at}, but it was not there.", "{He} searched {at} until {his} feet were tired.",
         "{He} looked {at} and found nothing."],
        ["{f} the {fk} came by and asked why {n} was so sad.", "Then {f} the {fk} stopped and offered to help.",
         "\"Why are you so sad?\" asked {f} the {fk}."],
        ["Together they looked everywhere.", "The two of them looked high and low.", "\"Let us look again,\" said {f}."],
        ["At last {f} found the {t} {spot}.", "In the end {f} found the {t} {spot}.", "And there it was: {f} found the {t} {spot}."],
        ["{n} was so happy that {he} gave {f} a {food}.", "{n} thanked {f} and gave {f} a {food}."],
        ["From that day on, they were best friends.", "After that, {n} always took good care of the {t}.",
         "{n} never lost the {t} again."]],
        [("Where was the {t}?", "The {t} was {spot}."), ("Who found the {t}?", "{f} found the {t}."),
         ("What did {n} give {f}?", "{n} gave {f} a {food}."), ("What did {n} lose?", "{n} lost the {c} {t}."),
         ("Where did {f} find the {t}?", "{f} found the {t} {spot}.")]),
    "found": (OTHERS + PLAYED + GUIDES, [
        ["{time}, {n} went for a walk and found a {c} {t} {at}.", "{time}, {n} found a {c} {t} {at}."],
        ["{n} wondered whose {t} it was.", "\"Who does this belong to?\" asked {n}.", "\"Somebody must miss it,\" thought {n}."],
        ["{He} asked everyone, but nobody knew.", "{He} went from door to door to ask."],
        ["Then {he} met {f} the {fk}, who was crying.", "Then {f} the {fk} came along and looked very sad."],
        ["\"I have lost my {t},\" said {f}.", "\"My {t} is gone,\" {f} said."],
        ["{n} smiled and gave the {t} back.", "{n} held out the {t}, and {f} jumped for joy."],
        ["{f} thanked {n} with a {food}.", "To say thank you, {f} brought {n} a {food}."],
        ["{n} went home with a warm heart.", "And they played together until the sun went down.",
         "{n} was glad to have a new friend."]],
        [("Where did {n} find the {t}?", "{n} found the {t} {at}."), ("Who found the {t}?", "{n} found the {t}."),
         ("Whose {t} was it?", "The {t} belonged to {f}."), ("What did {n} find?", "{n} found a {c} {t}."),
         ("Who lost the {t}?", "{f} lost the {t}."), ("What did {f} give {n}?", "{f} gave {n} a {food}.")]),
    "storm": (COVERS, [
        ["{time}, {n} was walking home with a {c} {t}.", "{time}, {n} went out and took along a {c} {t}."],
        ["A big storm came over the {place}.", "Suddenly the sky above the {place} turned dark, and it began to rain."],
        ["On the way {he} heard somebody call for help.", "Then {he} heard a small voice."],
        ["It was {f} the {fk}, who was cold and wet.", "{f} the {fk} sat there in the rain and could not get home."],
        ["\"Do not worry,\" said {n}, \"I will help you.\"", "\"Come here,\" said {n}, \"there is room for two.\""],
        ["The two of them hid under the {t} and waited.", "They sat close together under the {t}."],
        ["Soon the storm was over.", "After an hour the sun came out again."],
        ["They ate a {food} and laughed about the rain.", "{f} said that {n} was the kindest {k} of all.",
         "They walked home together and were friends ever after."]],
        [("Who was cold and wet?", "{f} was cold and wet."), ("Who helped {f}?", "{n} helped {f}."),
         ("What did {n} take along?", "{n} took along a {c} {t}.")]),
    "gift": (MADE, [
        ["It was the birthday of {f} the {fk}.", "{f} the {fk} had a birthday."],
        ["{n} wanted to give {f} something special.", "{n} did not know what to bring."],
        ["{He} had no money, so {he} decided to make a {c} {t}.", "So {he} worked all day and made a {c} {t}.",
         "At last {he} had an idea and made a {c} {t}."],
        ["{He} hid it {spot} so that nobody would see it.", "{He} kept it {spot} until it was ready."],
        ["{time}, everyone met {at}.", "The party was {at}."],
        ["{f} opened the present and smiled.", "When {f} saw the {t}, there was a long silence, and then a big smile."],
        ["\"This is the best {t} in the world,\" said {f}.", "\"You made it yourself!\" said {f}. \"I love it.\""],
        ["They danced and ate a {food} together.", "{n} learned that a gift from the heart is the best gift.",
         "It was the best birthday ever."]],
        [("Whose birthday was it?", "It was the birthday of {f}."), ("What did {n} make?", "{n} made a {c} {t}."),
         ("Where did {n} hide the {t}?", "{n} hid the {t} {spot}."), ("Who made the {t}?", "{n} made the {t}.")]),
    "learn": (list(LEARNED), [
        ["{n} wanted to learn to {verb} a {c} {t}.", "{n} had a new {c} {t} but did not know how to {verb} it."],
        ["{time}, {he} tried it {at}.", "{time}, {he} took it out {at}."],
        ["It did not work, and {n} felt sad.", "Everything went wrong, and {he} wanted to give up."],
        ["{f} the {fk} saw it and sat down next to {him}.", "An old {fk} named {f} watched {him} for a while."],
        ["\"Try again, and try slowly,\" said {f}.", "\"Nobody can do it the first time,\" said {f}."],
        ["{n} tried again and again.", "So {n} tried once more, and then once more."],
        ["At last it worked.", "In the evening {he} could do it."],
        ["{n} was proud, and {f} clapped.", "That night {n} slept with the {t} next to {him}.",
         "{n} thanked {f}, and they had a {food} together."]],
        [("What did {n} want to learn?", "{n} wanted to learn to {verb} the {t}."), ("Who helped {n}?", "{f} helped {n}."),
         ("Where did {n} try it?", "{n} tried it {at}.")]),
    "share": (PLAYED, [
        ["{n} had the only {c} {t} in the whole village.", "Nobody near the {place} had a {c} {t} but {n}."],
        ["{He} did not want to share it with anybody.", "{He} always played with it alone."],
        ["{time}, {f} the {fk} asked to use it.", "{time}, {f} the {fk} came and asked for it."],
        ["\"No,\" said {n}, and {f} went away.", "\"It is mine,\" said {n}, and {f} went home."],
        ["But playing alone {at} was no fun.", "Soon {n} felt very lonely {at}."],
        ["So {n} went to {f} and said sorry.", "The next day {n} knocked on the door of {f} and said sorry."],
        ["They took turns with the {t}.", "They used the {t} together and laughed a lot."],
        ["{n} found out that sharing makes everything better.", "And from then on the {t} belonged to both of them.",
         "In the evening they shared a {food}, too."]],
        [("Who asked for the {t}?", "{f} asked for the {t}."), ("Who said sorry?", "{n} said sorry."),
         ("Who had the {t}?", "{n} had the {t}."), ("What did {n} say to {f} at the end?", "{n} said sorry.")]),
    "night": (LIGHTS, [
        ["{n} was afraid of the dark.", "Every night {n} was afraid of the dark."],
        ["{time}, {he} heard a strange noise {at}.", "{time}, there was a strange noise {at}."],
        ["{n} took a {c} {t} and went to look.", "{He} lit a {c} {t} and walked slowly toward it."],
        ["{His} knees were shaking.", "{His} heart beat fast.", "With every step {he} felt a little braver."],
        ["There sat {f} the {fk}, who had lost the way.", "It was only {f} the {fk}, who could not find the way home."],
        ["\"I am so glad to see your light,\" said {f}.", "\"Your {t} is the most beautiful light in the world,\" said {f}."],
        ["{n} held up the {t} and led {f} home.", "Together they followed the light of the {t} home."],
        ["Since then {n} has not been afraid of the dark.", "And {n} found out that being brave is easier with a friend.",
         "{f} gave {n} a {food}, and both slept well."]],
        [("What was {n} afraid of?", "{n} was afraid of the dark."), ("Where was the strange noise?", "The strange noise was {at}."),
         ("Who had lost the way?", "{f} had lost the way."), ("Who was afraid of the dark?", "{n} was afraid of the dark.")]),
    "rescue": (ROPES, [
        ["{time}, {n} was {at} with a {c} {t}.", "{time}, {n} carried a {c} {t} and came past {at}."],
        ["Suddenly {he} heard a cry.", "\"Help!\" called a voice."],
        ["{f} the {fk} had fallen into a deep hole.", "It was {f} the {fk}, who sat at the bottom of a deep hole."],
        ["{n} thought hard.", "{n} looked around, but nobody else was there."],
        ["Then {he} let the {t} down into the hole.", "{He} tied the {t} to a tree and let it down."],
        ["{f} held on, and {n} pulled with all {his} strength.", "{f} climbed up, and {n} held tight."],
        ["Soon {f} stood safely on the grass.", "At last {f} was out of the hole."],
        ["\"You saved me,\" said {f}, and they went to eat a {food}.", "\"Thank you, {n},\" said {f}. \"You are a true friend.\"",
         "From then on, the two of them always walked together."]],
        [("Who had fallen into a hole?", "{f} had fallen into a hole."), ("Who saved {f}?", "{n} saved {f}."),
         ("What did {n} let down into the hole?", "{n} let the {c} {t} down into the hole.")]),
    "treasure": (GUIDES, [
        ["{time}, {n} found an old {c} {t} {spot}.", "{time}, {n} looked {spot} and found a {c} {t}."],
        ["\"This must lead to a treasure,\" {he} thought.", "\"There must be a secret behind it,\" {he} thought."],
        ["{He} showed it to {f} the {fk}.", "{He} ran to {f} the {fk} and told the whole story."],
        ["Together they walked for a whole day.", "They packed a {food} and set out together."],
        ["With the help of the {t} they came to a place {at}.", "The {t} brought them to a place {at}."],
        ["There they dug a hole and found a little chest.", "Behind a big stone stood a little chest."],
        ["It was full of shining coins.", "There was a letter in it that said: The real treasure is a good friend."],
        ["{n} and {f} laughed and shared everything.", "{n} looked at {f} and knew that it was true.",
         "They went home as the happiest friends in the world."]],
        [("Where did {n} find the {t}?", "{n} found the {t} {spot}."), ("Where was the treasure?", "The treasure was {at}."),
         ("Who went with {n}?", "{f} went with {n}.")]),
    "berries": (CARRIERS, [
        ["{time}, {n} took a {c} {t} and went to pick berries {at}.", "{time}, {n} wanted to pick berries {at} and took a {c} {t}."],
        ["Soon the {t} was full.", "{He} worked all morning until the {t} was full."],
        ["On the way home {he} met {f} the {fk}.", "Then {f} the {fk} came by."],
        ["{f} was very hungry.", "\"I have not eaten since yesterday,\" said {f}."],
        ["{n} looked at the berries and thought for a moment.", "{n} did not think twice."],
        ["\"Take half of them,\" said {n}.", "\"Let us eat them together,\" said {n}."],
        ["{f} was so glad.", "{f} ate and smiled."],
        ["The next day {f} came back with a {food} for {n}.", "{n} came home with less in the {t}, but with a new friend.",
         "Berries taste best when they are shared."]],
        [("Where did {n} pick berries?", "{n} picked berries {at}."), ("Who was hungry?", "{f} was hungry."),
         ("Who picked berries?", "{n} picked berries."), ("What did {n} pick?", "{n} picked berries.")]),
    "garden": (TOOLS, [
        ["{n} wanted to grow the biggest pumpkin of all.", "{n} had one dream: to grow the biggest pumpkin of all."],
        ["{time}, {he} took a {c} {t} and began to work {at}.", "{time}, {he} went to work {at} with a {c} {t}."],
        ["{He} planted one seed and waited.", "{He} put a seed into the earth and gave it water."],
        ["Days went by, and nothing happened.", "For a long time there was nothing to see."],
        ["\"You must be patient,\" said {f} the {fk}.", "{f} the {fk} said, \"Good things take time.\""],
        ["Then a small green leaf came out.", "Then, after a warm rain, it began to grow."],
        ["In autumn the pumpkin was as big as a house.", "In the end the pumpkin was so big that nobody could lift it."],
        ["{n} and {f} made soup for the whole village.", "{n} thanked {f}, for patience had been the secret.",
         "Everyone came to see it, and {n} was very proud."]],
        [("What did {n} want to grow?", "{n} wanted to grow the biggest pumpkin of all."),
         ("Who told {n} to be patient?", "{f} told {n} to be patient."), ("Where did {n} work?", "{n} worked {at}.")]),
    "broken": (PLAYED + ["clock", "watch", "chair", "lamp", "teapot", "radio"], [
        ["{n} had a beautiful {c} {t}.", "{n} loved {his} {c} {t}."],
        ["{time}, it fell down and broke.", "{time}, there was a loud crack, and it was broken."],
        ["{n} sat down and cried.", "{n} did not know what to do."],
        ["{f} the {fk} heard about it.", "{f} the {fk} came to visit and saw the pieces."],
        ["\"We can mend it,\" said {f}.", "\"Nothing is so broken that friends cannot mend it,\" said {f}."],
        ["They worked {at} the whole day.", "They sat {at} and worked until evening."],
        ["At last the {t} was whole again.", "In the end the {t} was as good as new."],
        ["{n} hugged {f} and shared a {food}.", "{n} liked the {t} even more than before.",
         "And whenever {n} saw the {t}, {he} thought of {his} friend."]],
        [("What broke?", "The {c} {t} broke."), ("Who helped {n}?", "{f} helped {n}."),
         ("Where did they work?", "They worked {at}."), ("What did {n} have?", "{n} had a {c} {t}.")]),
    "wish": (["ring", "lamp", "shell", "coin", "feather", "crystal", "stone", "bell", "pearl", "mirror", "bottle"], [
        ["{time}, {n} found a {c} {t} {at}.", "{time}, {n} picked up a {c} {t} {at}."],
        ["\"I am a magic {t},\" it said. \"You have one wish.\"", "It began to glow, and a voice said, \"You have one wish.\""],
        ["{n} thought about gold and cake.", "At first {n} wanted a big house."],
        ["Then {he} saw {f} the {fk}, who was ill.", "But then {he} thought of {f} the {fk}, who was ill."],
        ["\"I wish that {f} gets well,\" said {n}.", "\"Please make {f} well again,\" {he} said."],
        ["There was a flash of light.", "The {t} shone once more, and then it was quiet."],
        ["The next morning {f} was healthy and hungry.", "When {n} came to visit, {f} opened the door and laughed."],
        ["They ate a {food} together, and {n} missed nothing.", "{n} never told anyone about the wish.",
         "It was the best wish that anyone ever made."]],
        [("Who was ill?", "{f} was ill."), ("Where did {n} find the {t}?", "{n} found the {t} {at}."),
         ("What did {n} wish?", "{n} wished that {f} gets well."), ("What did {n} find?", "{n} found a {c} {t}.")]),
}
