-- Takes 002_dag.sql back; every DAG goes with it.

DROP TABLE dag_version;
DROP TABLE dag;
