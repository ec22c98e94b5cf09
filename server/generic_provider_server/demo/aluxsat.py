"""Defines *Aluxsat Co.*, the provider of the demonstration, with up to four viewing points in a
house.
"""

from __future__ import annotations

from generic_provider import Distributor, GoodsMapping, InstalledItem, Provider, Service

CHAIN = ("MAIN", "TWIN1", "TWIN2", "TWIN3")
GOODS = ("SMARTCARD", "DECODER")
SERVICES = {"SPORT": "1001", "NEWS": "1002", "FILM": "1003", "KIDS": "1004"}


def provider(code: str) -> Provider:
    return Provider(
        code=code,
        display_name="Aluxsat Co.",
        distributors=[
            Distributor(
                code=name,
                required_distributor=CHAIN[n - 1] if n else "",
                required_goods_types=GOODS,
            )
            for n, name in enumerate(CHAIN)
        ],
        services=[
            Service(code=name, display_name=name.title(), provider_service_id=number)
            for name, number in SERVICES.items()
        ],
        goods=[
            GoodsMapping(goods_type="SMARTCARD", provider_goods_type="CARD"),
            GoodsMapping(goods_type="DECODER", provider_goods_type="STB"),
        ],
    )


def pair(distributor: str, *, house: int, run: str) -> list[InstalledItem]:
    """Returns the card and the box of one viewing point."""
    number = f"{run}{house:02}{CHAIN.index(distributor)}"
    return [
        InstalledItem(distributor=distributor, goods_type=goods, serial_number=f"{letter}{number}")
        for goods, letter in zip(GOODS, ("C", "B"), strict=True)
    ]
