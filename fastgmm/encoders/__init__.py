"""Bags of rows as vectors of one length: images by their patches, recordings by their frames, documents by their words.

A bag is an array of rows, of any number; its vector says how its rows differ from what a mixture, or centres, expect.
"""

from fastgmm.encoders.fisher import FisherVectorEncoder
from fastgmm.encoders.vlad import VLADEncoder

__all__ = ["FisherVectorEncoder", "VLADEncoder"]
