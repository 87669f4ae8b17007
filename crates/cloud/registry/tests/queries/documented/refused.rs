//! Queries that are refused, below the rule of Azure's documents that excludes them.

pub(super) const RULES: &[(&str, &[&str])] = &[
    (
        "every query consists of SELECT and FROM clauses",
        &[
            "",
            "devices",
            "SELECT *",
            "FROM devices",
            "DELETE FROM devices",
            "UPDATE devices SET tags.a = 1",
            "INSERT INTO devices VALUES (1)",
            "DROP TABLE devices",
            "SELECT * FROM devices; SELECT * FROM devices",
        ],
    ),
    (
        "FROM is devices, devices.modules or devices.jobs",
        &[
            "SELECT * FROM twins",
            "SELECT * FROM devices.things",
            "SELECT * FROM devices d",
            "SELECT * FROM devices, devices.modules",
            "SELECT * FROM (SELECT * FROM devices)",
        ],
    ),
    (
        "no join between the collections",
        &["SELECT * FROM devices JOIN m IN devices.modules"],
    ),
    (
        "after WHERE there is GROUP BY and nothing else",
        &[
            "SELECT * FROM devices ORDER BY deviceId",
            "SELECT * FROM devices LIMIT 5",
            "SELECT COUNT() AS c FROM devices GROUP BY tags.a HAVING COUNT() > 1",
            "SELECT * FROM devices WHERE tags.a = 1 UNION SELECT * FROM devices",
        ],
    ),
    (
        "a projection list is * or attributes and aggregates",
        &[
            "SELECT FROM devices",
            "SELECT *, deviceId FROM devices",
            "SELECT DISTINCT tags.a FROM devices",
            "SELECT 1 AS one FROM devices",
            "SELECT tags.a + 1 AS b FROM devices",
            "SELECT UPPER(tags.a) AS b FROM devices",
            "SELECT COUNT(*) AS c FROM devices",
            "SELECT TOP x * FROM devices",
        ],
    ),
    (
        "with aggregates, a row is made for each group",
        &[
            "SELECT deviceId, COUNT() AS c FROM devices",
            "SELECT * FROM devices GROUP BY tags.a",
            "SELECT * FROM devices WHERE COUNT() > 1",
        ],
    ),
    (
        "queries of devices.jobs have no projections and no aggregates",
        &[
            "SELECT deviceId FROM devices.jobs",
            "SELECT COUNT() AS c FROM devices.jobs",
            "SELECT AVG(x) AS a FROM devices.jobs GROUP BY jobId",
        ],
    ),
    (
        "an expression is of constants, attributes, function calls and operators",
        &[
            "SELECT * FROM devices WHERE",
            "SELECT * FROM devices WHERE tags.a =",
            "SELECT * FROM devices WHERE tags.a == 1",
            "SELECT * FROM devices WHERE tags.a = 1 tags.b = 2",
            "SELECT * FROM devices WHERE tags.a = 1 && tags.b = 2",
            "SELECT * FROM devices WHERE !tags.a",
            "SELECT * FROM devices WHERE tags.a LIKE 'x%'",
            "SELECT * FROM devices WHERE tags.a BETWEEN 1 AND 2",
            "SELECT * FROM devices WHERE tags.a IS NULL",
            "SELECT * FROM devices WHERE tags.a NOT IN [1]",
            "SELECT * FROM devices WHERE tags.a = $parameter.x.",
            "SELECT * FROM devices WHERE (tags.a = 1",
            "SELECT * FROM devices WHERE tags. = 1",
            "SELECT * FROM devices WHERE tags.[[a = 1",
        ],
    ),
    (
        "strings end with the quote that they begin with, and have the escapes \\' \\\" \\\\ \\uXXXX",
        &[
            "SELECT * FROM devices WHERE tags.a = 'x",
            "SELECT * FROM devices WHERE tags.a = 'x\"",
            r"SELECT * FROM devices WHERE tags.a = '\u00'",
        ],
    ),
    (
        "a number is decimal or hexadecimal",
        &[
            "SELECT * FROM devices WHERE tags.a = 1x",
            "SELECT * FROM devices WHERE tags.a = 0xg",
            "SELECT * FROM devices WHERE tags.a = 1e",
        ],
    ),
    (
        "an array of constants has one at least",
        &[
            "SELECT * FROM devices WHERE tags.a IN []",
            "SELECT * FROM devices WHERE tags.a IN [1,]",
            "SELECT * FROM devices WHERE tags.a IN [tags.b]",
        ],
    ),
    (
        "functions are those of the list, with their arguments",
        &[
            "SELECT * FROM devices WHERE ISDEFINED(tags.a)",
            "SELECT * FROM devices WHERE NOW() = 1",
            "SELECT * FROM devices WHERE IS_DEFINED()",
            "SELECT * FROM devices WHERE IS_DEFINED(1)",
            "SELECT * FROM devices WHERE CONTAINS(tags.a)",
        ],
    ),
];
