"""The code under the maps and the link beside them say all that is set, and hold whatever things are called."""

import ast
import shlex
from urllib.parse import parse_qs, urlsplit

import pytest
from gallery import HELD, TWO, WILD, Onlooker


def samples(onlooker: Onlooker, answer: str, *labels: str) -> dict[str, str]:
    """The three samples of code for an answer, with settings of the toolbar that are not those of the start."""
    onlooker.see(answer)
    onlooker.page.evaluate("document.querySelector('.gx-code').open = true")
    onlooker.page.locator(".gx-code pre").last.wait_for()
    onlooker.page.locator("input[name=opacity]").fill("0.65")
    for label in labels:
        onlooker.page.locator(".gx-choices label", has_text=label).click()
    texts = onlooker.page.locator(".gx-code pre").all_text_contents()
    return dict(zip(onlooker.page.locator(".gx-code h3").all_inner_texts(), texts, strict=True))


def calls(program: str) -> dict[str, dict]:
    """The arguments of each call of a program, as texts, by the function's name."""
    return {
        ast.unparse(node.func): {
            "args": [ast.unparse(one) for one in node.args],
            **{one.arg: ast.unparse(one.value) for one in node.keywords},
        }
        for node in ast.walk(ast.parse(program))
        if isinstance(node, ast.Call)
    }


def values(program: str) -> dict[str, object]:
    """What a program's plain assignments give to names."""
    found = {}
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant | ast.List):
            found[ast.unparse(node.targets[0])] = ast.literal_eval(node.value)
    return found


def commands(script: str) -> list[list[str]]:
    return [shlex.split(line, comments=True) for line in script.replace("\\\n", " ").splitlines()]


def test_the_code_of_several_classes_names_all_of_them_and_the_shared_scale(onlooker):
    code = samples(onlooker, "two", "magma", "shared")
    said = calls(code["Python"])
    assert values(code["Python"]) == {"targets": [7, 3], "layers": ["fine", "middle", "coarse"]}
    assert said["gc.load"]["args"] == ["'handmade'"]
    assert said["gc.explain_classes"] == {"args": ["network", "photo", "targets", "layers"], "score": "'logit'"}
    assert said["gc.overlay"]["opacity"] == said["result.save"]["opacity"] == "0.65"
    assert said["gc.overlay"]["colormap"] == said["result.save"]["colormap"] == "'magma'"
    assert said["result.save"]["highest"] == "highest"
    assert said["heat_map.scaled"]["args"] == ["highest"]
    assert said["max"]["args"] == ["(heat_map.peak for result in results for heat_map in result.maps.values())"]
    loop, command, end = commands(code["Shell"])
    assert loop == ["for", "class", "in", "7", "3;", "do"]
    assert command[:7] == ["gradcam", "explain", "photo.jpg", "--network", "handmade", "--class", "$class"]
    options = dict(zip(command[3::2], command[4::2], strict=True))
    assert options["--layers"] == "fine,middle,coarse"
    assert (options["--opacity"], options["--colormap"], options["--out"]) == ("0.65", "magma", "out/$class")
    assert end == ["done"]
    assert "for target in ['7', '3']:" in ast.unparse(ast.parse(code["HTTP API"]))
    assert calls(code["HTTP API"])["client.predict"]["target"] == "target"


@pytest.mark.parametrize("answer", ["one", "two"])
def test_the_code_gives_the_boxes_where_regions_are_outlined(onlooker, answer):
    onlooker.see(answer)
    onlooker.page.locator("input[name=threshold]").fill("0.35")
    code = samples(onlooker, answer)
    said = calls(code["Python"])
    assert said["heat_map.boxes"]["args"] == ["0.35"]
    assert said["result.save"]["boxes"] == "0.35"
    (command,) = (line for line in commands(code["Shell"]) if line[0] == "gradcam")
    assert command[command.index("--boxes") + 1] == "0.35"
    assert calls(code["HTTP API"])["client.predict"]["threshold"] == "0.35"
    onlooker.page.locator("input[name=threshold]").fill("0")
    assert "boxes" not in "".join(samples(onlooker, answer).values())


def test_the_code_says_method_score_and_the_class_that_is_held_against(onlooker):
    code = samples(onlooker, "held")
    settings = {"method": "'layercam'", "score": "'probability'"}
    assert calls(code["Python"])["gc.explain_classes"].items() >= {**settings, "instead_of": "11"}.items()
    assert calls(code["HTTP API"])["client.predict"].items() >= {**settings, "instead_of": "'11'"}.items()
    command = commands(code["Shell"])[1]
    options = dict(zip(command[3::2], command[4::2], strict=True))
    assert (options["--method"], options["--score"], options["--instead-of"]) == ("layercam", "probability", "11")


def test_the_code_of_one_class_needs_no_loop(onlooker):
    code = samples(onlooker, "one")
    assert values(code["Python"]) == {"target": 7, "layers": ["fine", "middle", "coarse"]}
    assert calls(code["Python"])["gc.explain"]["args"] == ["network", "photo", "target", "layers"]
    assert "highest" not in calls(code["Python"])["result.save"]
    (command,) = commands(code["Shell"])
    assert command[command.index("--class") + 1] == "7"
    assert calls(code["HTTP API"])["client.predict"]["target"] == "'7'"


def test_code_that_is_open_is_that_of_the_answer_that_is_shown(onlooker):
    samples(onlooker, "two")
    onlooker.see("against")
    python, shell, api = onlooker.page.locator(".gx-code pre").all_text_contents()
    assert values(python) == {"target": 7, "layers": ["fine", "coarse"]}
    assert "--against" in shell
    assert calls(api)["client.predict"]["against"] == "True"


def test_what_is_copied_is_the_code_beside_the_button(onlooker):
    onlooker.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    code = samples(onlooker, "one")
    for name in ("Shell", "HTTP API", "Python"):
        onlooker.page.evaluate("navigator.clipboard.writeText('')")
        onlooker.page.get_by_label(f"Copy: {name}", exact=True).click()
        onlooker.page.wait_for_function("navigator.clipboard.readText()")
        assert onlooker.page.evaluate("navigator.clipboard.readText()") == code[name]


def test_where_the_browser_keeps_its_clipboard_code_is_selected_and_a_link_shown(onlooker):
    code = samples(onlooker, "one")
    onlooker.page.evaluate(
        """() => {
            navigator.clipboard.writeText = () => Promise.reject(new DOMException('', 'NotAllowedError'));
            window.prompt = (_, text) => { window.prompted = text; };
        }"""
    )
    try:
        onlooker.page.get_by_label("Copy: Shell", exact=True).click()
        onlooker.page.wait_for_function("(text) => getSelection().toString().trim() === text.trim()", arg=code["Shell"])
        onlooker.page.locator(".gx-link").click()
        onlooker.page.wait_for_function("window.prompted?.includes('network=handmade')")
    finally:
        onlooker.page.evaluate("() => { delete navigator.clipboard.writeText; delete window.prompt; }")


def test_the_code_of_a_network_in_a_file_prepares_photos_as_the_page_does(onlooker):
    code = samples(onlooker, "own")
    assert calls(code["Python"])["gc.load"] == {"args": ["'own.h5'"], "preprocess": "'-1..1'"}
    assert calls(code["HTTP API"])["client.predict"]["network"] == "'own'"  # a server has it by its name
    (command,) = commands(code["Shell"])
    assert command[:5] == ["gradcam", "explain", "photo.jpg", "--network", "own.h5"]
    assert "--preprocess=-1..1" in command


def test_names_stay_names_in_the_code(onlooker):
    """A class's name ends no comment, and no quote in a layer's or a network's name ends a text."""
    code = samples(onlooker, "wild")
    names = list(WILD[0].maps)
    assert values(code["Python"]) == {"targets": [0, 2], "layers": names}
    assert not [
        node for node in ast.walk(ast.parse(code["Python"])) if isinstance(node, ast.Import) and node.lineno > 1
    ]
    assert ast.literal_eval(calls(code["Python"])["gc.load"]["args"][0]) == WILD[0].network
    arguments = calls(code["HTTP API"])["client.predict"]
    assert ast.literal_eval(arguments["layers"]) == names
    assert ast.literal_eval(arguments["network"]) == WILD[0].network
    loop, command, end = commands(code["Shell"])
    assert command[command.index("--network") + 1] == WILD[0].network
    assert command[command.index("--layers") + 1] == ",".join(names)
    assert (loop[0], end) == ("for", ["done"])


def test_the_code_and_the_link_say_what_stands_under_more(onlooker):
    onlooker.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    onlooker.see("against")
    assert "2 heat maps against tawny owl" in onlooker.page.locator(".gx > .gx-status").inner_text()
    detail = {"mode": "add", "fusion": "product"}
    onlooker.page.evaluate("(detail) => dispatchEvent(new CustomEvent('gradcam-view', { detail }))", detail)
    code = samples(onlooker, "against")
    python, api = calls(code["Python"]), calls(code["HTTP API"])["client.predict"]
    for said in (python["gc.explain"], api):
        assert said.items() >= {"against": "True", "smoothing": "'noise'", "score": "'logit'"}.items()
    assert python["gc.overlay"]["mode"] == "'add'"
    assert python["result.save"].items() >= {"mode": "'add'", "fusion": "'product'"}.items()
    (command,) = commands(code["Shell"])
    assert {"--against", "--additive"} <= set(command)
    options = {word: command[i + 1] for i, word in enumerate(command[:-1])}
    assert (options["--smoothing"], options["--fuse"], options["--layers"]) == ("noise", "product", "fine,coarse")
    onlooker.page.evaluate("navigator.clipboard.writeText('')")
    onlooker.page.locator(".gx-link").click()
    onlooker.page.wait_for_function("navigator.clipboard.readText()")
    asked = parse_qs(urlsplit(onlooker.page.evaluate("navigator.clipboard.readText()")).query)
    expected = {"evidence": ["against"], "smoothing": ["noise"], "mode": ["add"], "fusion": ["product"]}
    assert asked.items() >= expected.items()
    assert "score" not in asked


@pytest.mark.parametrize(("answer", "rows"), [("two", TWO), ("held", HELD)])
def test_the_link_says_all_that_is_set(onlooker, answer, rows):
    onlooker.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    onlooker.see(answer)
    onlooker.page.locator("input[name=opacity]").fill("0.3")
    onlooker.page.locator("input[name=threshold]").fill("0.45")
    onlooker.page.locator(".gx-choices label", has_text="turbo").click()
    onlooker.page.locator(".gx-choices label", has_text="shared").click()
    onlooker.page.evaluate("navigator.clipboard.writeText('')")
    onlooker.page.locator(".gx-link").click()
    onlooker.page.wait_for_function("navigator.clipboard.readText()")
    link = urlsplit(onlooker.page.evaluate("navigator.clipboard.readText()"))
    asked = {name: value for name, (value,) in parse_qs(link.query).items()}
    expected = {
        "network": "handmade",
        "class": "7",
        "beside": "3",
        "layers": ",".join(rows[0].maps),
        "method": rows[0].method,
        "opacity": "0.3",
        "colormap": "turbo",
        "scale": "shared",
        "threshold": "0.45",
        "mode": "alpha",
        "fusion": "none",
    }
    assert asked == expected | ({"instead_of": "11", "score": "probability"} if answer == "held" else {})
    assert f"{link.scheme}://{link.netloc}" == onlooker.url
