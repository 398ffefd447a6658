# SPDX-License-Identifier: Apache-2.0
"""MS-EERR in impacket's NDR classes: a reading of the specification that
shares nothing with lib/rpch."""

import base64
import struct

from impacket.dcerpc.v5.dtypes import LONG, SHORT, ULONG, USHORT
from impacket.dcerpc.v5.ndr import (NDR, NDRHYPER, NDRPOINTER, NDRSTRUCT, NDRUNION,
                                    NDRUniConformantArray)


class Characters(NDRUniConformantArray):
    item = "<H"


class Bytes(NDRUniConformantArray):
    item = "c"


class PCharacters(NDRPOINTER):
    referent = (("Data", Characters),)


class PBytes(NDRPOINTER):
    referent = (("Data", Bytes),)


class EEUString(NDRSTRUCT):
    structure = (("nLength", SHORT), ("pString", PCharacters))


class EEAString(NDRSTRUCT):
    structure = (("nLength", SHORT), ("pString", PBytes))


class Nothing(NDR):
    structure = ()


class ComputerNameUnion(NDRUNION):
    commonHdr = (("tag", USHORT),)
    union = {1: ("Name", EEUString), 2: ("Absent", Nothing)}


class EEComputerName(NDRSTRUCT):
    structure = (("Type", USHORT), ("u", ComputerNameUnion))


class ParamUnion(NDRUNION):
    """C706 14.2.2: for the alignment of the struct around it a union counts
    with the largest of its arms, which these classes do not know."""

    commonHdr = (("tag", USHORT),)
    union = {1: ("AnsiString", EEAString), 2: ("UnicodeString", EEUString),
             3: ("LVal", LONG), 4: ("IVal", SHORT), 5: ("PVal", NDRHYPER),
             6: ("Empty", Nothing), 7: ("Blob", EEAString)}


class ExtendedErrorParam(NDRSTRUCT):
    structure = (("Type", USHORT), ("u", ParamUnion))

    def getAlignment(self):
        return 8


class Params(NDRUniConformantArray):
    """C706 14.3.12: what pointers within a structure lead to follows the
    whole of it, in the order of the pointers; the class above expects that
    of an array right behind the array."""

    item = ExtendedErrorParam

    def fromString(self, data, offset=0):
        at, self.fields["Data"] = offset, []
        for _ in range(self.getArraySize()):
            param = ExtendedErrorParam()
            at += param.fromString(data, at)
            self.fields["Data"].append(param)
        return at - offset

    def fromStringReferents(self, data, offset=0):
        at = offset
        for param in self.fields["Data"]:
            at += param.fromStringReferents(data, at)
        return at - offset


class ExtendedErrorInfo(NDRSTRUCT):
    """Next is a pointer; these classes cannot say that of a struct within
    itself, and records of the module have no cause behind them."""

    structure = (("Next", ULONG),
                 ("ComputerName", EEComputerName), ("ProcessID", ULONG),
                 ("TimeStamp", NDRHYPER), ("GeneratingComponent", ULONG),
                 ("Status", ULONG), ("DetectionLocation", USHORT),
                 ("Flags", USHORT), ("nLen", SHORT), ("Params", Params))


class PExtendedErrorInfo(NDRPOINTER):
    referent = (("Data", ExtendedErrorInfo),)


class TopLevel(NDRSTRUCT):
    structure = (("Record", PExtendedErrorInfo),)


def text_of(string):
    """What an EEUString says; its NUL is checked."""
    units = string["pString"]
    assert units[-1] == 0 and len(units) == string["nLength"]
    return "".join(map(chr, units[:-1]))


def decode(text):
    """The record of base64 text, by type serialization version 1 (MS-RPCE
    2.2.6)."""
    blob = base64.b64decode(text, validate=True)
    assert blob[:8] == bytes.fromhex("01100800cccccccc")
    length, filler = struct.unpack_from("<II", blob, 8)
    assert length == len(blob) - 16 and length % 8 == 0 and filler == 0
    top = TopLevel()
    used = top.fromString(blob[16:], 0)
    used += top.fromStringReferents(blob[16:], used)
    assert 0 <= length - used < 8
    record = top.fields["Record"].fields["Data"]
    assert record["Next"] == 0
    return record
