"""Sentences as customers and agents write them, with places for personal data, in English and Chinese.

The second set of each language was written after the detectors, and nothing was changed in them because of it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from faker import Faker

from labeling.personal_data import Found

ENGLISH = r"""
Hello, my name is {name} and my parcel never arrived.
Hi {first}, thanks for getting back to me so quickly.
Could you please change the phone number on my profile to {phone}?
You can reach me at {phone} after 5 pm, or write to {email}.
The card ending is not accepted: {bank_card}. What now?
I bought two tickets with card number {bank_card} last Friday.
My order {order} still says processing.
Please cancel {order}, I ordered the wrong size.
Dear Ms. {last}, your appointment has been moved to Tuesday.
I spoke with {name} yesterday and was promised a refund.
This is {name} from the Leeds branch.
The invoice should be addressed to {name}, not to me.
Regards,\n{name}
Best wishes,\n{first}
Thanks in advance!\n{name}\n{phone}
Please forward the confirmation to {email} instead of {email}.
Mr. {last} asked me to follow up on {order}.
Can someone call {name} on {phone}?
My husband {name} placed the order, but I pay for it.
Account holder: {name}, e-mail: {email}
I'm {first}, we talked on Monday about the broken lamp.
It was signed for by {name}, whom I don't know.
Ticket for {name}: seat change requested.
{name} here again. Any news on {order}?
Is {email} still the right address for complaints?
For security, here is the number on the card: {bank_card} and my phone {phone}.
Good morning {first}, I can confirm that your booking is complete.
Passenger name: {name}. Contact: {phone}.
We had a technician called {name} at our house this morning.
Please add {name} as a second user to our plan.
My colleague {name} will pick it up, her number is {phone}.
Send the replacement to {name}, 12 Mill Road, Cambridge.
The courier left a message from {phone} and nothing else.
Why was {order} delivered to {name} instead of me?
Sincerely,\n{name}\nHead of Purchasing
"""

CHINESE = r"""
你好，我叫{name}，上周买的台灯坏了。
我的手机号是{phone}，麻烦改一下收货信息。
麻烦把发票发到{email}，谢谢。
身份证号{id_card}，请帮我核对实名信息。
我用{bank_card}这张卡付的款，为什么没到账？
订单{order}什么时候发货？
请取消{order}，我拍错了。
{last}先生您好，您的预约已改到周二。
{last}女士您好，请问还有其他问题吗？
昨天是{name}接待我的，他答应给我退款。
收货人：{name}，电话：{phone}
快递是{name}签收的，我不认识这个人。
尊敬的{name}，您的会员已到期。
我是{name}，之前联系过你们。
麻烦让{name}给我回个电话，号码{phone}。
发票抬头写{name}就行。
您好，我是客服{name}，很高兴为您服务。
谢谢！\n{name}
此致\n敬礼\n{name}
联系人{name}，邮箱{email}
我老公{name}下的单，能改成我的名字吗？
请把{order}改寄给{name}，他的电话是{phone}。
已转给售后专员{name}处理，请您留意来电。
银行卡号：{bank_card}，开户人：{name}
打{phone}没人接，还有别的联系方式吗？
实名认证提示{id_card}已被占用，怎么办？
乘机人{name}，证件{id_card}，想改签到后天。
{name}您好，您的包裹已到驿站。
我和{name}是同事，可以一起报销吗？
帮我查一下{name}的快递到哪了。
{order}这单能不能开专票？邮箱{email}
账户是用{phone}注册的，名字是{name}。
邮箱写错了，应该是{email}。
会员{name}反映空调不制冷。
投诉编号已登记，跟进人：{name}。
"""

NOTHING_ENGLISH = """
Does the Samsung Galaxy S24 come with a charger in the box?
I would like to return the blue jacket, size M, bought on 12 March 2024.
Your Black Friday sale says 30% off, but the price is still $1,299.00.
The store in San Francisco opens at 10:00 on Sundays, right?
How long does standard delivery to New Zealand take?
Version 14.2.1 of the app crashes on my iPad Pro.
Is the Premium Plan cheaper if I pay for 12 months?
Thank you for contacting Customer Support. We are open Monday to Friday.
The manual says 220-240 V, 50 Hz; is that fine in the United States?
Can I use Apple Pay or Google Pay at checkout?
The washing machine shows error E18 after 45 minutes.
Hi there, the page at https://shop.example.com/returns is empty.
What is the difference between the Standard and the Deluxe Edition?
ISBN 978-3-16-148410-0 is listed twice in your catalogue.
Please Note: All Sales Are Final On Clearance Items.
"""

NOTHING_CHINESE = """
请问这款华为手机支持无线充电吗？
我想退货，蓝色外套M码，3月12日买的。
双十一活动满300减50，为什么没有优惠？
上海门店周末几点开门？
寄到新疆需要几天，运费多少？
应用升级到14.2.1之后一直闪退。
年费会员和月费会员有什么区别？
感谢您的咨询，祝您生活愉快。
说明书上写的是220V，在日本能用吗？
可以用支付宝或者微信支付吗？
洗衣机洗到45分钟显示E18是什么意思？
方便的话请描述一下具体问题。
高级会员可以享受任何商品九折吗？
安装师傅什么时候上门？
白色的和黄色的哪个更耐脏？
发货时间一般是下单后24小时内。
"""

UNSEEN_ENGLISH = r"""
Hey {first}, quick one: does the warranty cover the hinge?
The guy who delivered it said his name was {name} and he was very kind.
I was on the phone with {name} for forty minutes and nothing got solved.
Do not ring {phone}, that's my ex-wife's number; mine is {phone}.
We registered the device under {name}, serial in the photo.
As discussed with {name}, I'm sending the documents to {email} today.
Warm regards,\n{name}\nMobile {phone}
Purchase {order} was paid twice with {bank_card}.
My mother, {name}, is 83 and can't use the app.
Kindly remove {email} from the mailing list.
Could {name} be made the administrator of our workspace?
Booked for two: {name} and {name}.
Whoever signs in as {email} gets error 500.
Mrs. {last} has been waiting since nine o'clock.
I'd like to thank {name}, who stayed late to help me.
{name} wrote: the gearbox makes a noise.
Charge the rest to {bank_card} please, order {order}.
Cheers, {first}
The contract lists {name} as the tenant, which is wrong.
If {phone} is busy, leave a message.
Hello {first}, we have received your return {order} at our warehouse.
This is {first} speaking, how can I help you today?
"""

UNSEEN_CHINESE = r"""
刚才那位叫{name}的客服态度特别好，想给她点个赞。
包裹被{name}代收了，可是我家没有这个人。
你们给我打电话的号码是不是{phone}？
我姓{last}，昨天预约过维修。
把{order}和{order}合并发货可以吗？
我妈妈{name}今年七十了，不会用手机支付。
合同上写的乙方是{name}，现在要换成我。
请{name}老师安排一下课程时间。
登录名是{email}，密码忘了。
用尾号不对的卡付的，卡号应该是{bank_card}。
身份证{id_card}，姓名{name}，帮我补办会员卡。
感谢{name}经理的耐心解答。
上次维修的师傅叫{name}，能再派他来吗？
{name}，您好！您申请的售后已受理。
如果{phone}打不通，请打{phone}。
房间是以{name}的名义订的，今晚入住。
祝商祺\n{name}\n{phone}
单子{order}里少了一件，发件人写的是{name}。
孩子叫{name}，报的是周六上午的班。
转账给了{name}，到现在没有收到回单。
我朋友{name}推荐我来的，有优惠吗？
"""

UNSEEN_NOTHING = {
    "en": r"""
Is there a Nintendo Switch bundle with Mario Kart?
Our office in New York is closed on Labor Day.
The Golden Gate Hotel charged us for the Deluxe Room.
Error: Connection Refused. Please Try Again Later.
Do the Adidas Superstar run small or large?
I paid 4,500.00 SEK on 2024-11-02 and got 3 of 12 items.
Best price for 1000 units? Reference: catalogue page 48.
""",
    "zh": r"""
优惠券码NEWUSER2024为什么用不了？
黄山和张家界的门票可以一起买吗？
马上就要过年了，物流什么时候停运？
这张发票的金额不对，应该是1299元。
高铁票退票手续费怎么算？
包装盒破了，能换一个吗？
周末安排不了的话，工作日也行。
""",
}


@dataclass(frozen=True)
class Sentence:
    language: str
    text: str
    labels: tuple[Found, ...]


def sentences(count: int, seed: int, *, unseen: bool = False) -> list[Sentence]:
    """Half in each language, every fifth without anything personal."""
    chance = random.Random(seed)
    makers = {"en": _values("en_US", seed), "zh": _values("zh_CN", seed)}
    if unseen:
        personal = {"en": _lines(UNSEEN_ENGLISH), "zh": _lines(UNSEEN_CHINESE)}
        nothing = {language: _lines(text) for language, text in UNSEEN_NOTHING.items()}
    else:
        personal = {"en": _lines(ENGLISH), "zh": _lines(CHINESE)}
        nothing = {"en": _lines(NOTHING_ENGLISH), "zh": _lines(NOTHING_CHINESE)}
    made = []
    for number in range(count):
        language = ("en", "zh")[number % 2]
        source = nothing if number % 10 in (4, 5) else personal
        made.append(_filled(language, chance.choice(source[language]), makers[language]))
    return made


def _lines(templates: str) -> list[str]:
    return [line.replace("\\n", "\n") for line in templates.strip().splitlines()]


def _values(locale: str, seed: int) -> dict[str, tuple[str, Callable[[], str]]]:
    """Slot -> its kind, and how a value is made."""
    faker = Faker(locale)
    faker.seed_instance(seed)

    def digits(form: str) -> str:
        return faker.bothify(form, letters="ABCDEFGHJKLMNPQRSTUVWXYZ")

    def name() -> str:
        return f"{faker.first_name()} {faker.last_name()}" if locale == "en_US" else faker.name()

    return {
        "name": ("name", name),
        "first": ("name", faker.first_name),
        "last": ("name", faker.last_name),
        "phone": ("phone", faker.phone_number),
        "email": ("email", faker.email),
        "id_card": ("id_card", faker.ssn),
        "bank_card": ("bank_card", faker.credit_card_number),
        "order": (
            "order",
            lambda: digits(faker.random_element(("SO-########", "??#########", "D####/#####"))),
        ),
    }


_SLOT = re.compile(r"\{(\w+)\}")


def _filled(
    language: str, template: str, makers: dict[str, tuple[str, Callable[[], str]]]
) -> Sentence:
    text, labels, position = "", [], 0
    for slot in _SLOT.finditer(template):
        kind, make = makers[slot[1]]
        text += template[position : slot.start()]
        value = make()
        labels.append(Found(kind, len(text), len(text) + len(value)))
        text += value
        position = slot.end()
    return Sentence(language, text + template[position:], tuple(labels))
