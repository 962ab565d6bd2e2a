"""A map of the world as SVG: a circle for each country, whose area says how many requests came from it.

There are no outlines and nothing is loaded: behind, every country is a faint circle at its middle, as large as its
land, which is enough to find one's way. Only numbers and country codes of ours get into the markup.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Final

from markupsafe import Markup

from logstats.reports.units import count

# ISO 3166-1 alpha-2 code, and whole degrees of latitude and longitude near the middle of the country.
_MIDDLES: Final = """
AD 43 2,AE 24 54,AF 34 66,AG 17 -62,AI 18 -63,AL 41 20,AM 40 45,AO -12 18,AR -35 -65,AS -14 -171,AT 47 14,AU -25 134,
AW 12 -70,AX 60 20,AZ 40 48,BA 44 18,BB 13 -60,BD 24 90,BE 51 5,BF 12 -2,BG 43 25,BH 26 51,BI -3 30,BJ 9 2,BL 18 -63,
BM 32 -65,BN 4 115,BO -17 -64,BQ 12 -68,BR -10 -53,BS 24 -76,BT 27 90,BW -22 24,BY 53 28,BZ 17 -89,CA 57 -104,CC -12 97,
CD -3 23,CF 7 21,CG -1 15,CH 47 8,CI 7 -5,CK -21 -160,CL -33 -71,CM 6 12,CN 35 104,CO 4 -73,CR 10 -84,CU 22 -79,
CV 16 -24,CW 12 -69,CX -10 106,CY 35 33,CZ 50 15,DE 51 10,DJ 12 43,DK 56 10,DM 15 -61,DO 19 -71,DZ 28 3,EC -1 -78,
EE 59 26,EG 27 30,EH 24 -13,ER 15 39,ES 40 -4,ET 9 39,FI 64 26,FJ -18 178,FK -52 -59,FM 7 158,FO 62 -7,FR 46 2,GA -1 12,
GB 54 -2,GD 12 -62,GE 42 43,GF 4 -53,GG 49 -3,GH 8 -1,GI 36 -5,GL 70 -42,GM 13 -15,GN 10 -11,GP 16 -62,GQ 2 10,GR 39 22,
GT 16 -90,GU 13 145,GW 12 -15,GY 5 -59,HK 22 114,HN 15 -87,HR 45 16,HT 19 -72,HU 47 19,ID -2 118,IE 53 -8,IL 31 35,
IM 54 -5,IN 22 79,IO -6 72,IQ 33 44,IR 32 54,IS 65 -18,IT 43 12,JE 49 -2,JM 18 -77,JO 31 36,JP 36 138,KE 0 38,KG 41 75,
KH 13 105,KI 1 173,KM -12 43,KN 17 -63,KP 40 127,KR 36 128,KW 29 48,KY 19 -81,KZ 48 67,LA 18 104,LB 34 36,LC 14 -61,
LI 47 10,LK 8 81,LR 6 -9,LS -30 28,LT 55 24,LU 50 6,LV 57 25,LY 27 17,MA 32 -6,MC 44 7,MD 47 28,ME 43 19,MF 18 -63,
MG -19 47,MH 7 171,MK 42 22,ML 17 -4,MM 21 96,MN 47 104,MO 22 114,MP 15 146,MQ 15 -61,MR 20 -11,MS 17 -62,MT 36 14,
MU -20 58,MV 3 73,MW -13 34,MX 24 -102,MY 4 102,MZ -18 35,NA -22 17,NC -21 165,NE 17 8,NF -29 168,NG 9 8,NI 13 -85,
NL 52 5,NO 61 9,NP 28 84,NR -1 167,NU -19 -170,NZ -42 173,OM 21 56,PA 9 -80,PE -9 -75,PF -18 -149,PG -6 144,PH 12 122,
PK 30 70,PL 52 19,PM 47 -56,PR 18 -66,PS 32 35,PT 40 -8,PW 7 134,PY -23 -58,QA 25 51,RE -21 56,RO 46 25,RS 44 21,
RU 61 97,RW -2 30,SA 24 45,SB -9 160,SC -5 55,SD 15 30,SE 62 15,SG 1 104,SI 46 15,SK 49 19,SL 8 -12,SM 44 12,SN 14 -14,
SO 6 46,SR 4 -56,SS 7 30,ST 0 7,SV 14 -89,SX 18 -63,SY 35 38,SZ -26 31,TC 22 -72,TD 15 19,TG 8 1,TH 15 101,TJ 39 71,
TK -9 -172,TL -9 126,TM 39 59,TN 34 9,TO -20 -175,TR 39 35,TT 11 -61,TV -8 178,TW 24 121,TZ -6 35,UA 49 32,UG 1 32,
US 39 -98,UY -33 -56,UZ 41 64,VA 42 12,VC 13 -61,VE 7 -66,VG 18 -64,VI 18 -65,VN 16 107,VU -16 167,WF -13 -177,
WS -14 -172,XK 43 21,YE 16 48,YT -13 45,ZA -29 24,ZM -13 28,ZW -19 30
"""
# Areas in 10,000 square kilometres, of the countries that have more than 80,000.
_AREAS: Final = """
RU 1710,CA 998,US 983,CN 960,BR 852,AU 769,IN 329,AR 278,KZ 272,DZ 238,CD 234,GL 217,SA 215,MX 196,ID 190,SD 188,
LY 176,IR 165,MN 156,PE 129,TD 128,NE 127,AO 125,ML 124,ZA 122,CO 114,BO 110,ET 110,MR 103,EG 101,TZ 95,NG 92,VE 91,
PK 88,NA 82,MZ 80,TR 78,CL 76,ZM 75,MM 68,AF 65,SO 64,CF 62,SS 62,UA 60,MG 59,BW 58,KE 58,FR 55,YE 53,TH 51,ES 50,
TM 49,CM 48,PG 46,MA 45,SE 45,UZ 45,IQ 44,PY 41,NO 39,ZW 39,JP 38,DE 36,CG 34,FI 34,MY 33,VN 33,CI 32,OM 31,PL 31,
IT 30,PH 30,EC 28,BF 27,GA 27,NZ 27,GN 25,GB 24,GH 24,LA 24,RO 24,UG 24,BY 21,GY 21,KG 20,SN 20,SY 19,KH 18,UY 18,
SR 16,TN 16,BD 15,NP 15,TJ 14,GR 13,NI 13,KP 12,MW 12,BG 11,BJ 11,CU 11,HN 11,LR 11,IS 10,KR 10,AZ 9,HU 9,JO 9,PT 9,
AE 8,AT 8,CZ 8,RS 8
"""
_WIDTH, _HEIGHT = 1000, 440
_NORTH, _SOUTH, _WEST = 84, -56, -180
_DEGREE: Final = _WIDTH / 360  # its width; one is 111 km at the equator
_LARGEST: Final = 34  # radius of the largest circle
_NAMED: Final = 12  # countries whose code stands beside the circle


def _rows(table: str) -> list[list[str]]:
    return [row.split() for row in table.split(",")]


@cache
def middles() -> Mapping[str, tuple[int, int]]:
    """Country code → (latitude, longitude) in degrees."""
    return {code: (int(latitude), int(longitude)) for code, latitude, longitude in _rows(_MIDDLES)}


def world(requests: Mapping[str, int]) -> Markup | None:
    """The map of these numbers of requests by country code; None if none of the codes is a country."""
    known = sorted(((n, code) for code, n in requests.items() if code in middles() and n > 0), reverse=True)
    if not known:
        return None
    most = known[0][0]
    grid = "".join(f"M0 {_y(latitude):.0f}H{_WIDTH}" for latitude in range(-30, 61, 30))
    grid += "".join(f"M{_x(longitude):.0f} 0V{_HEIGHT}" for longitude in range(-150, 180, 30))
    areas = {code: int(area) * 10_000 for code, area in _rows(_AREAS)}
    dots = "".join(_circle(code, _DEGREE * math.sqrt(areas.get(code, 40_000) / math.pi) / 111) for code in middles())
    circles, labels = [], []
    for place, (number, code) in enumerate(known):
        radius = max(2.5, _LARGEST * math.sqrt(number / most))
        words = f"{code}: {count(number)} request{'s' if number != 1 else ''}"
        circles.append(f'<g class="country">{_circle(code, radius)}<title>{words}</title></g>')
        if place < _NAMED:
            x, y = _at(code)
            labels.append(f'<text x="{x:.0f}" y="{y:.0f}" dy=".32em" text-anchor="middle">{code}</text>')
    return Markup(
        f'<svg class="chart world" viewBox="-20 0 {_WIDTH + 40} {_HEIGHT}" aria-hidden="true">'
        f'<path class="grid" d="{grid}"/>'
        f'<g class="land">{dots}</g>{"".join(circles)}{"".join(labels)}</svg>'
    )


def _circle(code: str, radius: float) -> str:
    x, y = _at(code)
    return f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radius:.1f}"/>'


def _at(code: str) -> tuple[float, float]:
    latitude, longitude = middles()[code]
    return _x(longitude), _y(latitude)


def _x(longitude: float) -> float:
    return (longitude - _WEST) / 360 * _WIDTH


def _y(latitude: float) -> float:
    return (_NORTH - latitude) / (_NORTH - _SOUTH) * _HEIGHT
