import java.nio.file.Path;
import java.util.Map;
import org.neo4j.dbms.api.DatabaseManagementServiceBuilder;

/** Neo4j's community edition with Bolt until SIGTERM. Arguments: its home folder and its configuration. */
public class Neo4jServer {
    public static void main(String[] arguments) {
        var service = new DatabaseManagementServiceBuilder(Path.of(arguments[0]))
                .loadPropertiesFromFile(Path.of(arguments[1]))
                .build();
        Runtime.getRuntime().addShutdownHook(new Thread(service::shutdown));
        // The user is made at every start, before anybody is told the address; the one that everybody knows is not kept.
        var system = service.database("system");
        system.executeTransactionally(
                "CREATE OR REPLACE USER headrace SET PASSWORD $password CHANGE NOT REQUIRED",
                Map.of("password", System.getenv("HEADRACE_NEO4J_PASSWORD")));
        system.executeTransactionally("DROP USER neo4j IF EXISTS");
    }
}
