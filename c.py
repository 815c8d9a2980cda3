"""usage: c.py in out [json kwargs]"""
import sys, json, numpy as np
sys.path.insert(0,'/work/main')
from pipeline.inference.colorizer import Colorizer
from pipeline.video.color_video import color_video
import tests.predictors as P
def colorizer():
    return Colorizer(P.Predictor()) if hasattr(P,'Predictor') else None
