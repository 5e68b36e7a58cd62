"""Compares a converted model with its original on fixed texts, token by token, and enforces bounds."""

from typing import TypedDict

from training.errors import TrainingError

MIN_TOP1 = 0.90  # share of positions at which both models predict the same most likely token
MAX_NLL_INCREASE = 0.05  # nats per token
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


class Reading(TypedDict):
    """A model's predictions along a text of n tokens.

    `best` has the most likely next token after the first 1, 2, … n tokens; `log_probabilities` has those, in nats,
    of the text's tokens 2 to n, each given the tokens before it.
    """

    best: list[int]
    log_probabilities: list[float]


class Agreement(TypedDict):
    """The manifest's `metrics.agreement`; `nll` is the mean negative log-likelihood of a token, in nats."""

    reference: str
    tokens: int
    top1: float
    nll: float
    reference_nll: float
    bounds: dict[str, float]


def compare(reference: list[Reading], converted: list[Reading]) -> Agreement:
    """Return how well the readings of the converted model agree with the reference's; one Reading per text."""
    pairs = [
        pair
        for expected, actual in zip(reference, converted, strict=True)
        for pair in zip(expected["best"], actual["best"], strict=True)
    ]
    return {
        "reference": "float32",
        "tokens": len(pairs),
        "top1": round(sum(expected == actual for expected, actual in pairs) / len(pairs), 4),
        "nll": round(_nll(converted), 4),
        "reference_nll": round(_nll(reference), 4),
        "bounds": {"top1_least": MIN_TOP1, "nll_above_reference_most": MAX_NLL_INCREASE},
    }


def require(agreement: Agreement) -> None:
    """Raise TrainingError that names each bound which `agreement` violates."""
    top1, increase = agreement["top1"], agreement["nll"] - agreement["reference_nll"]
    violations = []
    if not top1 >= MIN_TOP1:
        violations.append(f"top-1 agreement is {top1:.1%} and must be at least {MIN_TOP1:.0%}")
    if not increase <= MAX_NLL_INCREASE:
        violations.append(
            f"a token's NLL is {increase:.3f} nats above the reference's and may be at most {MAX_NLL_INCREASE} above it"
        )
    if violations:
        raise TrainingError(
            f"On {agreement['tokens']} tokens of fixed text, {'; '.join(violations)}. "
            "Nothing is published. Keep this model on the engine transformers."
        )


def _nll(readings: list[Reading]) -> float:
    values = [value for reading in readings for value in reading["log_probabilities"]]
    return -sum(values) / len(values)
