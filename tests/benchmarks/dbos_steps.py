"""Run by `workflows` with a Python that has DBOS: prints how many durable steps a second it does on a SQLite file.

`python dbos_steps.py FILE WORKFLOWS STEPS`
"""

import sys
import time

from dbos import DBOS


@DBOS.step()  # type: ignore[untyped-decorator,unused-ignore]
def one_more(number: int) -> int:
    return number + 1


@DBOS.workflow()  # type: ignore[untyped-decorator,unused-ignore]
def count(steps: int) -> int:
    number = 0
    for _ in range(steps):
        number = one_more(number)
    return number


def main() -> None:
    file, workflows, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    DBOS(config={"name": "benchmark", "system_database_url": f"sqlite:///{file}", "log_level": "ERROR"})
    DBOS.launch()
    count(2)
    begin = time.perf_counter()
    begun = [DBOS.start_workflow(count, steps) for _ in range(workflows)]
    assert [one.get_result() for one in begun] == [steps] * workflows
    print(workflows * steps / (time.perf_counter() - begin))
    DBOS.destroy()


if __name__ == "__main__":
    main()
