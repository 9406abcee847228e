"""One index, used by many at once: answers are those of the index alone, batched, and nothing accepted is lost."""

import asyncio
import random

import pytest
from served import TEXTS, SlowEncoder, make_detector, make_index, until, with_service

from dupdetect import QuestionIndex
from dupdetect.errors import InputError
from dupdetect.service.problems import ServiceBusyError, ServiceStoppedError
from dupdetect.service.running import NewQuestion, Service


def test_searches_at_once_find_what_each_finds_alone(tmp_path):
    draw = random.Random(0)
    words = sorted({word for text in TEXTS for word in text.lower().split()})
    asked = [(" ".join(draw.choices(words, k=draw.randint(0, 7))), draw.randint(1, 9)) for _ in range(200)]

    async def work(service):
        found = await asyncio.gather(*(service.similar(text, k) for text, k in asked))
        assert found == [service.index.search(text, k) for text, k in asked]

    with_service(tmp_path, work, batch=7)


@pytest.mark.parametrize("text", [*TEXTS, "error 403 on page", "how do i open account", "nothing like it", ""])
def test_a_check_is_that_of_the_index(tmp_path, text):
    async def work(service):
        return await service.check(text), service.index.check(text)

    mine, alone = with_service(tmp_path, work)
    assert (mine.text, mine.duplicate, mine.best) == (alone.text, alone.duplicate, alone.best)
    if mine.best is None:
        assert mine.explanation is alone.explanation is None
        return
    why = mine.explanation
    assert (why.left, why.right) == (text, mine.best.text)
    assert (why.duplicate, why.similarity, why.probability, why.guards) == (
        mine.best.duplicate,
        mine.best.similarity,
        mine.best.probability,
        mine.best.guards,
    )
    assert (why.shared, why.only_left, why.only_right) == (
        alone.explanation.shared,
        alone.explanation.only_left,
        alone.explanation.only_right,
    )


def test_searches_that_come_while_one_runs_are_one_call_of_the_encoder(tmp_path):
    encoder = SlowEncoder()

    async def work(service):
        encoder.hold()
        first = asyncio.create_task(service.similar("where is it", 2))
        await until(lambda: encoder.calls)
        assert encoder.calls == [1]  # nothing waits while nothing runs
        more = [asyncio.create_task(service.similar(f"parcel {place}", 2)) for place in range(20)]
        checks = [asyncio.create_task(service.check(f"account {place}")) for place in range(5)]
        await asyncio.sleep(0.01)
        assert encoder.calls == [1]
        encoder.may_go_on.set()
        await asyncio.gather(first, *more)
        assert encoder.calls[:2] == [1, 25]
        await asyncio.gather(*checks)

    with_service(tmp_path, work, encoder=encoder)


def test_no_batch_is_larger_than_the_settings_allow(tmp_path):
    sizes = []

    async def work(service):
        service.observe_batch = sizes.append
        await asyncio.gather(*(service.similar(f"parcel {place}", 1) for place in range(100)))

    with_service(tmp_path, work, batch=8)
    assert sum(sizes) == 100
    assert max(sizes) == 8


def test_a_search_that_fails_fails_for_all_that_were_asked_with_it_and_the_next_is_answered(tmp_path):
    async def work(service):
        search = service.index.search_many

        def fail(texts, k):
            raise InputError("no")

        service._searches._search = fail
        found = await asyncio.gather(*(service.similar("a", 1) for _ in range(5)), return_exceptions=True)
        assert [str(error) for error in found] == ["no"] * 5
        service._searches._search = search
        assert await service.similar("where is my parcel", 1)

    with_service(tmp_path, work)


def test_too_many_waiting_is_an_error_and_those_that_wait_are_answered(tmp_path):
    encoder = SlowEncoder()

    async def work(service):
        encoder.hold()
        running = asyncio.create_task(service.similar("a", 1))
        await until(lambda: encoder.calls)
        waiting = [asyncio.create_task(service.similar("b", 1)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(ServiceBusyError, match="3 requests wait"):
            await service.similar("c", 1)
        encoder.may_go_on.set()
        assert len(await asyncio.gather(running, *waiting)) == 4

    with_service(tmp_path, work, encoder=encoder, waiting=3)


def test_too_many_changes_waiting_are_an_error(tmp_path):
    encoder = SlowEncoder()

    async def work(service):
        encoder.hold()
        begun = [asyncio.create_task(service.add([NewQuestion(f"n{n}", f"new {n}")])) for n in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ServiceBusyError):
            await service.remove(["q0"])
        encoder.may_go_on.set()
        await asyncio.gather(*begun)
        assert {"n0", "n1", "q0"} <= {one.id for one in service.index}

    with_service(tmp_path, work, encoder=encoder, waiting=2)


def test_a_cancelled_search_does_not_harm_the_others(tmp_path):
    encoder = SlowEncoder()

    async def work(service):
        encoder.hold()
        first = asyncio.create_task(service.similar("a", 1))
        await until(lambda: encoder.calls)
        gone, stays = (asyncio.create_task(service.similar(text, 1)) for text in ("gone", "where is my parcel"))
        await asyncio.sleep(0)
        first.cancel()
        gone.cancel()
        encoder.may_go_on.set()
        assert (await stays)[0].same_text
        assert encoder.calls == [1, 1]

    with_service(tmp_path, work, encoder=encoder)


def test_a_change_is_made_although_its_caller_has_gone(tmp_path):
    encoder = SlowEncoder()

    async def work(service):
        encoder.hold()
        added = asyncio.create_task(service.add([NewQuestion("new", "a new question")]))
        await until(lambda: encoder.calls)
        added.cancel()
        await asyncio.gather(added, return_exceptions=True)

    with_service(tmp_path, work, encoder=encoder)
    with QuestionIndex.open(tmp_path / "index", make_detector()) as index:
        assert index["new"].text == "a new question"


def test_stopping_finishes_what_was_accepted_and_accepts_nothing_more(tmp_path):
    encoder = SlowEncoder()

    async def work():
        service = Service(make_index(tmp_path, encoder=encoder))
        with pytest.raises(ServiceStoppedError):
            await service.similar("too early", 1)
        await service.start()
        assert service.ready
        encoder.hold()
        accepted = [
            asyncio.create_task(service.similar("where is my parcel", 1)),
            asyncio.create_task(service.check("where is my parcel now please")),
            asyncio.create_task(service.add([NewQuestion("new", "a new question", "class")])),
            asyncio.create_task(service.remove(["q0"])),
            asyncio.create_task(service.score([("a b", "a b c")])),
        ]
        await until(lambda: len(encoder.calls) == 3)
        stopping = asyncio.create_task(service.stop())
        await asyncio.sleep(0.01)
        assert not stopping.done()
        assert not service.ready
        for late in (service.similar("late", 1), service.add([NewQuestion("late", "late")]), service.read(len)):
            with pytest.raises(ServiceStoppedError):
                await late
        encoder.may_go_on.set()
        hits, check, added, removed, scores = await asyncio.gather(*accepted)
        await stopping
        assert hits[0].id == "q6"
        assert check.explanation.right == check.best.text == "where is my parcel now"
        assert (added.ids, removed.questions, len(scores.similarity)) == (("new",), 1, 1)
        with pytest.raises(InputError, match="closed"):
            len(service.index)

    asyncio.run(work())
    with QuestionIndex.open(tmp_path / "index", make_detector()) as index:
        assert index["new"].label == "class"
        assert "q0" not in index
        assert "late" not in index


def test_added_and_searched_at_once_each_search_sees_a_whole_index(tmp_path):
    """Two questions with one text come and go together: a search sees both of them, or none."""

    async def work(service):
        done = False

        async def change():
            nonlocal done
            for _ in range(15):
                await service.add([NewQuestion("n1", "a b c d"), NewQuestion("n2", "A b c d.")])
                await service.remove(["n1", "n2"])
            done = True

        async def look():
            seen = set()
            while not done:
                (hit,) = await service.similar("a b c d", 1)
                seen.add(hit.questions if hit.same_text else 0)
            return seen

        seen, *_ = await asyncio.gather(look(), change(), look())
        assert seen <= {0, 2}
        return len(service.index)

    assert with_service(tmp_path, work) == len(TEXTS)


def test_read_and_write_hand_over_the_index(tmp_path):
    async def work(service):
        assert await service.read(len) == len(TEXTS)
        await service.write(lambda index: index.unmerge("q6", "q7"))
        assert await service.write(lambda index: index.forget("q6", "q7"))
        assert not await service.write(lambda index: index.forget("q6", "q7"))

    with_service(tmp_path, work)
