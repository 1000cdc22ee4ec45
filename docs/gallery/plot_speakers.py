"""
Who is speaking?
================

One mixture per speaker is the classical recogniser of voices: cut speech into frames of some hundredths of a second,
describe each by its cepstrum, fit a mixture to the frames of each speaker, and name the speaker whose mixture gives an
utterance the highest likelihood.

**Real voices.** `sktime` ships not the recordings of nine men saying two Japanese vowels but what
was computed from them: 640 utterances of 7 to 29 frames, each 12 cepstral coefficients from linear
prediction [1]_.

**Who is speaking, and is it really?** Identification names one of nine speakers; verification accepts or refuses a
claim, with a background mixture adapted to each speaker, equal-error rates and DET curves.

**From sound to features.** The last part computes mel-frequency cepstra (MFCC) from waveforms with
SciPy alone; its voices are synthesised.

.. [1] Kudo, Toyama and Shimbo, "Multidimensional curve classification using passing-through regions", Pattern
   Recognition Letters 20 (1999). Data: UCI repository, "Japanese Vowels".
"""

from importlib.metadata import distribution

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import DetCurveDisplay, det_curve

from fastgmm import GaussianMixture, linear_scores, log_likelihood_ratio, supervectors


def read_utterances(part):
    """Return the frames of each utterance, (n_frames, 12), and its speaker, 1 to 9."""
    utterances, speakers = [], []
    path = distribution("sktime").locate_file(
        f"sktime/datasets/data/JapaneseVowels/JapaneseVowels_{part}.ts"
    )
    with open(path) as lines:
        for line in lines:
            if line.strip() and line[0] not in "#@":
                *coefficients, speaker = line.strip().split(":")
                utterances.append(
                    np.array([np.fromstring(c, sep=",") for c in coefficients]).T
                )
                speakers.append(int(speaker))
    return utterances, np.array(speakers)


train, train_speaker = read_utterances("TRAIN")
test, test_speaker = read_utterances("TEST")
print(
    f"{len(train)} utterances to learn from, {len(test)} to name, {np.ptp(train_speaker) + 1} speakers"
)


# %%
# A mixture per speaker, of as many components as the frames of that speaker call for by
# BIC.


def voice_of(frames):
    """Return the mixture of one speaker's frames."""
    candidates = [
        GaussianMixture(k, reg_covar=1e-3, n_init=3, random_state=0).fit(frames)
        for k in (1, 2, 3, 4)
    ]
    return min(candidates, key=lambda model: model.bic(frames))


names = np.unique(train_speaker)
voices = [
    voice_of(
        np.concatenate([u for u, s in zip(train, train_speaker, strict=True) if s == n])
    )
    for n in names
]
print("components by speaker:", [voice.n_components for voice in voices])

# %%
# Frames of an utterance are scored together: their log densities are added up. A longer
# utterance says more.


def log_likelihoods(utterance, n_frames=None):
    """Return the log-likelihood of the first frames of an utterance under each voice, in nats."""
    return np.array([voice.score_samples(utterance[:n_frames]).sum() for voice in voices])


lengths = [1, 2, 3, 5, 7, 29]
accuracy = [
    np.mean([names[log_likelihoods(u, n).argmax()] for u in test] == test_speaker)
    for n in lengths
]
scores = np.array([log_likelihoods(u) for u in test])
named = names[scores.argmax(axis=1)]
confusion = np.zeros((9, 9), dtype=int)
np.add.at(confusion, (test_speaker - 1, named - 1), 1)
print(f"named rightly: {np.mean(named == test_speaker):.1%} of {len(test)} utterances")

fig, axes = plt.subplots(1, 2, figsize=(11, 4.2))
axes[0].plot(lengths, accuracy, marker="o")
axes[0].set(
    xlabel="frames heard",
    ylabel="utterances named rightly",
    xscale="log",
    ylim=(0.8, 1.005),
)
axes[0].set_xticks(lengths, ["1", "2", "3", "5", "7", "all"])
axes[0].minorticks_off()
axes[1].imshow(np.log1p(confusion), cmap="Blues")
for i, j in np.argwhere(confusion):
    colour = "white" if confusion[i, j] > 9 else "black"
    axes[1].text(j, i, confusion[i, j], ha="center", va="center", color=colour)
axes[1].set(xlabel="named", ylabel="speaker", xticks=range(9), yticks=range(9))
axes[1].set_xticklabels(names)
axes[1].set_yticklabels(names)

# %%
# Is it this speaker at all?
# --------------------------
# Verification has one claim to accept or to refuse. A background mixture of everybody's
# frames is fitted once; :meth:`~fastgmm.GaussianMixture.adapt` moves its means towards the
# frames of one speaker, no further than they are worth. The score of a claim is the
# log-likelihood ratio of the two per frame. Every test utterance claims to be each of the
# nine speakers: 370 true claims, 2960 false ones.

background = GaussianMixture(
    32, covariance_type="diag", reg_covar=1e-3, init_params="multistart", random_state=0
).fit(np.concatenate(train))
frames_of = [
    np.concatenate([u for u, s in zip(train, train_speaker, strict=True) if s == n])
    for n in names
]
by_means = [background.adapt(frames) for frames in frames_of]
speakers = [background.adapt(frames, update=("means", "weights")) for frames in frames_of]
true = names[None, :] == test_speaker[:, None]


def equal_error_rate(scores, true):
    """Return the rate at which as many false claims are let in as true ones refused."""
    let_in, refused, _ = det_curve(true.ravel(), scores.ravel())
    at = np.abs(let_in - refused).argmin()
    return 0.5 * (let_in[at] + refused[at])


def ratios(models, top=5):
    """Return the score of each test utterance as each speaker, (n_utterances, n_speakers), in nats per frame."""
    return np.array([log_likelihood_ratio(models, background, u, top=top) for u in test])


trials = {
    "means adapted": ratios(by_means),
    "means and weights adapted": ratios(speakers),
    "the same, all 32 components": ratios(speakers, top=None),
    "linear scores": linear_scores(
        by_means, background, [background.statistics(u) for u in test]
    ).T,
}

# %%
# Scores of short utterances differ in level. Against that they are normalised by what other
# speakers get for the same utterance (T-norm): here by the other eight.


def against_others(scores):
    """Return each score less the mean of the others' for the same utterance, in their standard deviations."""
    out = np.empty_like(scores)
    for k in range(scores.shape[1]):
        others = np.delete(scores, k, axis=1)
        out[:, k] = (scores[:, k] - others.mean(axis=1)) / others.std(axis=1)
    return out


trials["weights too, T-norm"] = against_others(trials["means and weights adapted"])
for name, values in trials.items():
    print(f"{name:27} equal error rate {equal_error_rate(values, true):.1%}")

fig, ax = plt.subplots(figsize=(5.2, 4.8))
for name, values in trials.items():
    # Two of the curves are nearly the same; the upper one lets the lower one through.
    style = "--" if name.startswith("the same") else "-"
    DetCurveDisplay.from_predictions(
        true.ravel(), values.ravel(), name=name, ax=ax, linestyle=style
    )
ax.plot([-3, 1], [-3, 1], color="0.7", lw=0.8)
ax.legend(loc="upper right", fontsize=8)
ax.set(
    xlabel="false claims let in",
    ylabel="true claims refused",
    title="DET curve, nine speakers",
)

# %%
# From sound to features
# ----------------------
# MFCC in a dozen lines: power spectra of overlapping windows, energies in bands spaced
# evenly in mel, and the cosine transform of their logarithms.

from scipy.fft import dct
from scipy.signal import lfilter, stft

RATE = 8000


def mfcc(sound, n_bands=24, n_coefficients=13):
    """Return the mel-frequency cepstrum of each frame of 32 ms, (n_frames, n_coefficients - 1), without the energy."""
    frequencies, _, spectrum = stft(
        sound, RATE, window="hamming", nperseg=256, noverlap=176, boundary=None
    )
    mel = 2595.0 * np.log10(1.0 + frequencies / 700.0)
    centres = np.linspace(0.0, mel[-1], n_bands + 2)
    filters = np.maximum(
        1.0 - np.abs(mel - centres[1:-1, None]) / (centres[1] - centres[0]), 0.0
    )
    energies = np.log(filters @ np.abs(spectrum) ** 2 + 1e-12)
    return dct(energies, axis=0, norm="ortho")[1:n_coefficients].T


# %%
# The voices here are synthesised: pulses of a speaker's pitch through resonances placed by
# vowel and scaled by the length of that speaker's vocal tract. It is a source and a filter,
# not speech; it shows the path from samples to names.

VOWELS = [
    (730, 1090, 2440),
    (270, 2290, 3010),
    (300, 870, 2240),
    (530, 1840, 2480),
    (570, 840, 2410),
]


def speak(pitch, tract, seconds, rng):
    """Return some vowels in a voice of this pitch (Hz) and relative tract length."""
    parts = []
    for vowel in rng.permutation(len(VOWELS)):
        n = int(seconds * RATE / len(VOWELS))
        vibrato = np.sin(2 * np.pi * 5 * np.arange(n) / RATE + rng.uniform(0, 6))
        phase = np.cumsum(pitch * (1 + 0.03 * vibrato)) / RATE
        sound = np.diff(np.floor(phase), prepend=0.0) + 0.01 * rng.normal(size=n)
        for formant, width in zip(VOWELS[vowel], (80, 100, 140), strict=True):
            f, r = formant / tract * rng.normal(1, 0.02), np.exp(-np.pi * width / RATE)
            sound = lfilter(
                [1 - r], [1, -2 * r * np.cos(2 * np.pi * f / RATE), r * r], sound
            )
        parts.append(sound / sound.std())
    return np.concatenate(parts) + 0.02 * rng.normal(size=n * len(VOWELS))


rng = np.random.default_rng(0)


def person():
    """Return a random voice: its pitch in Hz and the relative length of its vocal tract."""
    low = rng.uniform() < 0.5
    pitch = rng.normal(115 if low else 205, 18)
    return max(pitch, 80.0), rng.normal(1.0 if low else 0.87, 0.045)


fig, axes = plt.subplots(1, 2, figsize=(11, 3.4))
sound = speak(115, 1.0, 2.0, rng)
axes[0].specgram(sound, NFFT=256, Fs=RATE, noverlap=176, cmap="magma")
axes[0].set(xlabel="seconds", ylabel="Hz", title="five synthesised vowels")
axes[1].imshow(
    mfcc(sound).T, aspect="auto", origin="lower", cmap="coolwarm", extent=(0, 2, 0.5, 12.5)
)
axes[1].set(xlabel="seconds", ylabel="cepstral coefficient", title="MFCC")

# %%
# The background is made of 40 people and the claims of 30 others, who were not heard before:
# 4 seconds to learn each, 5 utterances of 0.8 seconds that claim to be each.

world = GaussianMixture(64, covariance_type="diag", reg_covar=1e-3, random_state=0).fit(
    np.concatenate([mfcc(speak(*person(), 4.0, rng)) for _ in range(40)])
)
voices = [person() for _ in range(30)]
clients = [world.adapt(mfcc(speak(*voice, 4.0, rng))) for voice in voices]
claims = [mfcc(speak(*voice, 0.8, rng)) for voice in voices for _ in range(5)]
true = np.arange(30)[None, :] == np.repeat(np.arange(30), 5)[:, None]
trials = {
    "ratio, top 5": np.array(
        [log_likelihood_ratio(clients, world, claim) for claim in claims]
    ),
    "linear scores": linear_scores(clients, world, [world.statistics(c) for c in claims]).T,
}
# A client and a claim as two long vectors, and the cosine of their angle.
learnt, heard = (
    supervectors(models, world) for models in (clients, [world.adapt(c) for c in claims])
)
norms = np.linalg.norm(heard, axis=1)[:, None] * np.linalg.norm(learnt, axis=1)
trials["cosine of supervectors"] = heard @ learnt.T / norms
for name, values in trials.items():
    print(
        f"{name:22} equal error rate {equal_error_rate(values, true):.1%} of {true.size} claims"
    )

# %%
# **What to conclude.** On clean recordings of a closed set, one or two full-covariance
# components per speaker name nearly every utterance of two vowels, from thirty examples
# each. Add log densities over frames and decide once per utterance; single frames err ten
# times as often. To accept or refuse a claim, adapt a background instead: it needs little of
# the speaker, its components keep their meaning, and five of them per frame give the scores
# of all. Adapt weights as well where the background was made of few speakers: its components
# then belong to some of them, and which ones are used says more than where they lie. Linear
# scores take one product of two vectors per claim, and know the means only. The synthesised
# voices differ in two numbers and hear no room or telephone: real recordings need features
# normalised per recording, and larger backgrounds.
