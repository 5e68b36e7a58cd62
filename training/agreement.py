"""Holds a model that was rounded for another engine to its original: the same text, token by token, within bounds."""

from dataclasses import dataclass

from training.errors import TrainingError

TOP1_LEAST = 0.90  # share of places at which both find the same token the likeliest
NLL_MOST = 0.05  # nats a token by which the text may become less likely
TEXT_TOKENS = 64  # of each text
TEXTS = (
    "Bread needs only flour, water, salt and time. Mix them in the evening, cover the bowl with a cloth, and let the "
    "dough rest overnight. In the morning it has doubled. Fold it a few times, shape a round loaf, and bake it in a "
    "very hot oven until the crust is dark and sounds hollow when you knock on it.",
    "The old lighthouse keeper climbed the stairs every night at nine. He knew each of the two hundred steps by its "
    "sound. One evening the lamp would not burn. Far out at sea a small boat was looking for the harbour, and the wind "
    "was getting stronger, so he took his lantern and went out to the rocks.",
    "def mean(values):\n    total = 0\n    for value in values:\n        total += value\n"
    "    return total / len(values)\n\n\ndef variance(values):\n    centre = mean(values)\n"
    "    return mean([(value - centre) ** 2 for value in values])\n",
    "Photosynthesis is the process by which plants turn light into chemical energy. Leaves take in carbon dioxide from "
    "the air and water from the roots. With the energy of sunlight they make sugar, and they give off oxygen. Nearly "
    "all life on Earth depends on this process, directly or indirectly.",
    "<|im_start|>user\nWhat should I pack for a weekend in the mountains?<|im_end|>\n<|im_start|>assistant\nTake warm "
    "clothes in layers, a rain jacket, good boots, a map, a torch, enough water, and something to eat. Tell somebody "
    "where you are going and when you will be back.<|im_end|>\n",
    "Shopping list:\n- 2 litres of milk\n- 500 g of flour\n- 6 eggs\n- butter\n- apples\n- coffee\n\nTo do on Monday:\n"
    "1. Call the dentist\n2. Pay the rent\n3. Return the books to the library\n4. Write to Anna about the holidays\n",
    "In 1969 two people walked on the Moon for the first time. Their journey had taken four days. They stayed on the "
    "surface for less than a day, collected about twenty kilograms of rock and dust, set up instruments, and returned "
    "to the ship that a third man had kept in orbit.",
    "Q: What is 12 times 12?\nA: 144\n\nQ: What is the square root of 81?\nA: 9\n\nQ: What is 15 percent of 200?\n"
    "A: 30\n\nQ: If a train travels 60 miles in one hour, how far does it travel in three hours?\nA: 180 miles\n",
)


@dataclass(frozen=True)
class Reading:
    """A model's view of a text: the likeliest token after each beginning of it, and how it came to be.

    `best` has a token for the beginnings of 1, 2, … tokens; `log_probabilities` those, in nats, of the text's second
    and further tokens, each given what stands before it.
    """

    best: list[int]
    log_probabilities: list[float]


def compare(reference: list[Reading], found: list[Reading]) -> dict:
    """Return what the manifest says of `found` beside `reference`, the bounds included; one Reading a text."""
    pairs = [pair for a, b in zip(reference, found, strict=True) for pair in zip(a.best, b.best, strict=True)]
    return {
        "reference": "float32",
        "tokens": len(pairs),
        "top1": round(sum(a == b for a, b in pairs) / len(pairs), 4),
        "nll": round(_nll(found), 4),
        "reference_nll": round(_nll(reference), 4),
        "bounds": {"top1_least": TOP1_LEAST, "nll_above_reference_most": NLL_MOST},
    }


def require(measured: dict) -> None:
    """Raise TrainingError that names each bound which `measured`, as `compare` gives it, does not keep."""
    above = measured["nll"] - measured["reference_nll"]
    broken = [
        text
        for kept, text in (
            (measured["top1"] >= TOP1_LEAST, f"top-1 agreement is {measured['top1']:.1%}, at least {TOP1_LEAST:.0%}"),
            (above <= NLL_MOST, f"a token's NLL is {above:.3f} nats above the reference's, at most {NLL_MOST}"),
        )
        if not kept
    ]
    if broken:
        raise TrainingError(
            f"On {measured['tokens']} tokens of fixed text, {' is wanted; '.join(broken)} is wanted. "
            "Nothing is published. Keep this model on the engine transformers."
        )


def _nll(readings: list[Reading]) -> float:
    values = [value for reading in readings for value in reading.log_probabilities]
    return -sum(values) / len(values)
