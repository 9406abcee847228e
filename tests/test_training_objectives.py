"""What each objective pulls together and pushes apart, by hand-computed values on vectors in the plane."""

import math

import pytest

torch = pytest.importorskip("torch")

from dupdetect.errors import InputError  # noqa: E402
from dupdetect.training import objectives  # noqa: E402

A = torch.tensor([1.0, 0.0])
COS_60 = torch.tensor([0.5, math.sqrt(0.75)])
COS_90 = torch.tensor([0.0, 1.0])
true, false = torch.tensor([True]), torch.tensor([False])


def slope(objective, *vectors):
    """The gradient of `objective(*vectors)` on each vector."""
    leaves = [vector.clone().requires_grad_() for vector in vectors]
    objective(*leaves).backward()
    return [leaf.grad for leaf in leaves]


def distance(left, right, kind="cosine"):
    return objectives.pair_distance(left[None], right[None], kind)


def moved(objective, *vectors, step=0.01):
    """The vectors after one small step downhill."""
    return [vector - step * grad for vector, grad in zip(vectors, slope(objective, *vectors), strict=True)]


def cosine(left, right):
    return float(torch.nn.functional.cosine_similarity(left, right, dim=0))


# Distances.


def test_distances_of_known_angles():
    assert float(distance(A, COS_60)) == pytest.approx(0.5)
    assert float(distance(A, COS_60, "euclidean")) == pytest.approx(1)
    assert float(distance(A, -A)) == 2
    assert float(distance(A, -A, "euclidean")) == pytest.approx(objectives.MAX_DISTANCE)


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
def test_distances_do_not_depend_on_lengths_or_sides(kind):
    torch.manual_seed(0)
    left, right = torch.randn(5, 3), torch.randn(4, 3)
    expected = objectives.distance_matrix(left, right, kind)
    assert torch.allclose(objectives.distance_matrix(7 * left, right / 3, kind), expected, atol=1e-5)
    assert torch.allclose(objectives.distance_matrix(right, left, kind).T, expected, atol=1e-5)
    assert torch.allclose(objectives.pair_distance(left[:4], right, kind), expected.diagonal(), atol=1e-5)


def test_equal_rows_have_a_finite_slope():
    for gradient in slope(lambda a, b: distance(a, b, "euclidean").sum(), A, A):
        assert torch.equal(gradient, torch.zeros(2))


# Contrastive, margin form.


def test_margin_form_by_hand():
    values = torch.tensor([0.4, 0.1, 0.9])
    labels = torch.tensor([True, False, False])
    assert float(objectives.contrastive_margin(values, labels, 0.5)) == pytest.approx((0.08 + 0.08 + 0) / 3)


def test_margin_form_slopes_by_hand():
    values = torch.tensor([0.4, 0.1, 0.9], requires_grad=True)
    objectives.contrastive_margin(values, torch.tensor([True, False, False]), 0.5).backward()
    # d / n for a duplicate, -(margin - d) / n within the margin, nothing beyond it
    assert values.grad.tolist() == pytest.approx([0.4 / 3, -0.4 / 3, 0])


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
@pytest.mark.parametrize(
    "form",
    [
        lambda d, y: objectives.contrastive_margin(d, y, 1.5),
        lambda d, y: objectives.contrastive_logistic(d, y, 10.0, 0.4),
    ],
    ids=["margin", "logistic"],
)
def test_contrastive_forms_pull_duplicates_and_push_others(form, kind):
    together = moved(lambda a, b: form(distance(a, b, kind), true), A, COS_60)
    apart = moved(lambda a, b: form(distance(a, b, kind), false), A, COS_60)
    assert cosine(*together) > 0.5 > cosine(*apart)


# Contrastive, logistic form.


def test_logistic_form_by_hand():
    # at the boundary both answers cost log 2; one unit of scale away, the softplus of it
    assert float(objectives.contrastive_logistic(torch.tensor([0.4]), true, 10.0, 0.4)) == pytest.approx(math.log(2))
    found = objectives.contrastive_logistic(torch.tensor([0.3, 0.3]), torch.tensor([True, False]), 10.0, 0.4)
    assert float(found) == pytest.approx((math.log1p(math.exp(-1)) + math.log1p(math.exp(1))) / 2)


def test_logistic_form_slopes_by_hand():
    values = torch.tensor([0.4, 0.4], requires_grad=True)
    scale, boundary = torch.tensor(10.0, requires_grad=True), torch.tensor(0.4, requires_grad=True)
    objectives.contrastive_logistic(values, torch.tensor([True, False]), scale, boundary).backward()
    # (sigmoid(0) - y) * -scale / n
    assert values.grad.tolist() == pytest.approx([2.5, -2.5])
    assert float(boundary.grad) == pytest.approx(0)


def test_logistic_form_learns_scale_and_boundary():
    # two thirds of the pairs at one distance are duplicates: the boundary must move beyond that distance
    boundary = torch.tensor(0.4, requires_grad=True)
    labels = torch.tensor([True, True, False])
    objectives.contrastive_logistic(torch.full((3,), 0.4), labels, 10.0, boundary).backward()
    assert float(boundary.grad) == pytest.approx(10 * (0.5 - 2 / 3))
    # pairs on their right sides: a larger scale is more certain, and right
    scale = torch.tensor(1.0, requires_grad=True)
    objectives.contrastive_logistic(torch.tensor([0.1, 0.9]), torch.tensor([True, False]), scale, 0.4).backward()
    assert float(scale.grad) < 0


# Hard pairs.


def test_hard_pairs_are_those_that_no_threshold_puts_right():
    values = torch.tensor([0.1, 0.5, 0.3, 0.4, 0.9])
    labels = torch.tensor([True, True, False, False, False])
    assert objectives.hard_pairs(values, labels).tolist() == [False, True, True, True, False]


def test_no_pair_is_hard_when_a_threshold_separates_all():
    hard = objectives.hard_pairs(torch.tensor([0.1, 0.9]), torch.tensor([True, False]))
    values = torch.tensor([0.1, 0.9], requires_grad=True)
    value = objectives.contrastive_margin(values[hard], torch.tensor([True, False])[hard], 0.5)
    value.backward()
    assert value.item() == 0
    assert values.grad.tolist() == [0, 0]


@pytest.mark.parametrize("label", [True, False])
def test_a_batch_of_one_kind_is_all_hard(label):
    assert objectives.hard_pairs(torch.tensor([0.1, 0.2]), torch.tensor([label, label])).all()


# Triplets.


def test_triplet_by_hand():
    positive, negative = torch.tensor([0.3, 0.3, 0.3]), torch.tensor([0.2, 0.4, 0.9])
    assert float(objectives.triplet_margin(positive, negative, 0.5)) == pytest.approx((0.6 + 0.4 + 0) / 3)


def test_triplet_slopes_by_hand():
    positive = torch.tensor([0.3, 0.3], requires_grad=True)
    negative = torch.tensor([0.2, 0.9], requires_grad=True)
    objectives.triplet_margin(positive, negative, 0.5).backward()
    assert positive.grad.tolist() == [0.5, 0]
    assert negative.grad.tolist() == [-0.5, 0]


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
def test_triplet_pulls_the_duplicate_and_pushes_the_other(kind):
    anchor, positive, negative = moved(
        lambda a, p, n: objectives.triplet_margin(distance(a, p, kind), distance(a, n, kind), 1.0), COS_60, A, COS_90
    )
    assert cosine(anchor, positive) > 0.5
    assert cosine(anchor, negative) < math.sqrt(0.75)


# Negatives out of the batch.

DISTANCES = torch.tensor([[0.1, 0.4, 0.6, 0.9]])


@pytest.mark.parametrize(
    ("how", "positive", "column"),
    [("hard", 0.5, 0), ("semi-hard", 0.5, 2), ("semi-hard", 0.95, 3), ("semi-hard", 0.0, 0)],
)
def test_which_negative_is_picked(how, positive, column):
    rows, columns = objectives.pick_negatives(DISTANCES, torch.tensor([positive]), torch.ones(1, 4, dtype=bool), how)
    assert (rows.tolist(), columns.tolist()) == ([0], [column])


@pytest.mark.parametrize("how", ["random", "semi-hard", "hard"])
def test_a_candidate_that_is_not_allowed_is_never_picked(how):
    generator = torch.Generator().manual_seed(3)
    for _ in range(100):
        distances, allowed = torch.rand(6, 9, generator=generator), torch.rand(6, 9, generator=generator) < 0.2
        rows, columns = objectives.pick_negatives(distances, distances[:, 0], allowed, how, generator)
        assert allowed[rows, columns].all()
        assert rows.tolist() == allowed.any(1).nonzero().squeeze(1).tolist()


@pytest.mark.parametrize("how", ["random", "semi-hard", "hard"])
def test_no_candidates_give_no_triplets(how):
    rows, columns = objectives.pick_negatives(DISTANCES, torch.zeros(1), torch.zeros(1, 4, dtype=bool), how)
    assert rows.shape == columns.shape == (0,)
    assert float(objectives.triplet_margin(DISTANCES[rows, columns], DISTANCES[rows, columns], 0.5)) == 0


def test_random_negatives_follow_the_generator_and_reach_every_candidate():
    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        distances, allowed = torch.rand(200, 4), torch.ones(200, 4, dtype=bool)
        return objectives.pick_negatives(distances, distances[:, 0], allowed, "random", generator)[1].tolist()

    assert draw(1) == draw(1) != draw(2)
    assert set(draw(1)) == {0, 1, 2, 3}


# Ranking.


def test_ranking_by_hand():
    distances = torch.tensor([[0.1, 0.3], [0.5, 0.2]])
    everyone = torch.ones(2, 2, dtype=bool)
    forth = (math.log1p(math.exp(-0.2 / 0.1)) + math.log1p(math.exp(-0.3 / 0.1))) / 2
    back = (math.log1p(math.exp(-0.4 / 0.1)) + math.log1p(math.exp(-0.1 / 0.1))) / 2
    assert float(objectives.ranking(distances, everyone, 0.1)) == pytest.approx(forth)
    assert float(objectives.ranking(distances, everyone, 0.1, symmetric=True)) == pytest.approx((forth + back) / 2)


def test_ranking_pulls_the_duplicate_and_pushes_the_others():
    values = torch.tensor([[0.3, 0.3, 0.3]], requires_grad=True)
    objectives.ranking(values, torch.ones(1, 3, dtype=bool), 0.5).backward()
    # (softmax - target) / -temperature
    assert values.grad.tolist()[0] == pytest.approx([4 / 3, -2 / 3, -2 / 3])


def test_known_duplicates_are_no_negatives():
    allowed = torch.tensor([[False, False, True], [True, False, True]])  # whatever it says of the duplicates themselves
    values = torch.tensor([[0.3, 0.1, 0.4], [0.2, 0.3, 0.1]], requires_grad=True)
    for symmetric in (False, True):
        values.grad = None
        objectives.ranking(values, allowed, 0.1, symmetric=symmetric).backward()
        assert float(values.grad[0, 1]) == 0
        assert float(values.grad[0, 0]) > 0 > float(values.grad[0, 2])
        assert float(values.grad[1, 0]) < 0


def test_ranking_does_not_depend_on_the_order_of_the_pairs():
    torch.manual_seed(1)
    left, right = torch.randn(6, 4), torch.randn(6, 4)
    order, everyone = torch.randperm(6), torch.ones(6, 6, dtype=bool)
    expected = objectives.ranking(objectives.distance_matrix(left, right), everyone, 0.1, symmetric=True)
    shuffled = objectives.distance_matrix(left[order], right[order])
    assert float(objectives.ranking(shuffled, everyone, 0.1, symmetric=True)) == pytest.approx(float(expected))


def test_ranking_with_nothing_to_rank():
    assert float(objectives.ranking(torch.zeros(0, 3), torch.ones(0, 3, dtype=bool), 0.1)) == 0
    alone = torch.tensor([[0.7]], requires_grad=True)
    objectives.ranking(alone, torch.ones(1, 1, dtype=bool), 0.1, symmetric=True).backward()
    assert float(alone.grad) == 0


# Distillation.


def test_distillation_by_hand():
    student, teacher = torch.stack([A, COS_60, COS_90]), torch.stack([A, A, COS_90])
    # cosines 0.5, 0, sqrt(0.75) against 1, 0, 0
    assert float(objectives.distillation(student, teacher)) == pytest.approx((0.25 + 0 + 0.75) / 3)


def test_distillation_holds_neighbours_more_than_strangers():
    teacher = torch.eye(20)[:, :19]
    teacher[19] = teacher[0]  # rows 0 and 19 alone are neighbours; row 1 is one of the many strangers
    apart, near_stranger = torch.eye(20), torch.eye(20)
    near_stranger[19], near_stranger[2] = near_stranger[0], near_stranger[1]
    assert float(objectives.distillation(apart, teacher)) > float(objectives.distillation(near_stranger, teacher)) > 0
    assert float(objectives.distillation(apart, teacher)) == pytest.approx((2 / 380 + 2 / 140) / 2)


def test_distillation_moves_towards_the_teachers_angles():
    teacher = torch.stack([A, COS_60, COS_90])
    student = torch.stack([A, A + 0.1 * COS_90, COS_90])
    (after,) = moved(lambda rows: objectives.distillation(rows, teacher), student)
    assert cosine(after[0], after[1]) < cosine(student[0], student[1])


def test_distillation_sees_angles_alone():
    torch.manual_seed(2)
    teacher = torch.randn(5, 3)
    turned = torch.linalg.qr(torch.randn(3, 3))[0]
    wider = torch.cat([2 * teacher @ turned, torch.zeros(5, 4)], dim=1)
    assert float(objectives.distillation(wider, teacher)) == pytest.approx(0, abs=1e-10)
    assert float(objectives.distillation(teacher[:1], teacher[:1])) == 0


def test_the_teacher_gets_no_gradient():
    student, teacher = torch.randn(3, 2, requires_grad=True), torch.randn(3, 2, requires_grad=True)
    objectives.distillation(student, teacher).backward()
    assert student.grad is not None
    assert teacher.grad is None


# Sums and checks.


def test_joint_is_the_weighted_sum():
    parts = {"contrastive": torch.tensor(2.0, requires_grad=True), "ranking": torch.tensor(3.0, requires_grad=True)}
    total = objectives.joint(parts, {"contrastive": 1.0, "ranking": 0.5, "triplet": 9.0})
    total.backward()
    assert total.item() == 3.5
    assert [float(part.grad) for part in parts.values()] == [1.0, 0.5]


@pytest.mark.parametrize("margin", [0, -1, 2.1, 5, math.nan])
def test_margins_that_no_distance_can_meet(margin):
    with pytest.raises(InputError, match=r"\[0, 2\]"):
        objectives.triplet_margin(torch.zeros(1), torch.zeros(1), margin)
    with pytest.raises(InputError, match=r"\[0, 2\]"):
        objectives.contrastive_margin(torch.zeros(1), true, margin)


@pytest.mark.parametrize("temperature", [0, -0.1, math.nan])
def test_temperatures_are_above_zero(temperature):
    with pytest.raises(InputError, match="above 0"):
        objectives.ranking(torch.zeros(1, 1), torch.ones(1, 1, dtype=bool), temperature)
